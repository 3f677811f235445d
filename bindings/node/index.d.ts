// The exports of troupe-net are those of Node's net, and so are their types.
export * from 'node:net';
