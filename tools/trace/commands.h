/* The commands of `troupe trace`: each gets its arguments, argv[0] is its name, and returns what the
 * program ends with. */
#ifndef TOOLS_TRACE_COMMANDS_H_INCLUDED
#define TOOLS_TRACE_COMMANDS_H_INCLUDED

int trace_dump(int argc, char **argv);
int trace_stat(int argc, char **argv);
int trace_diff(int argc, char **argv);
int trace_json(int argc, char **argv);
int trace_replay(int argc, char **argv);
int trace_client(int argc, char **argv);

#endif
