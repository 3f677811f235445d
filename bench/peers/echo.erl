%% The echo server in Erlang, over gen_tcp: a process for each connection, {active, N}.
%% usage: erl -noshell -s echo main -extra HOST PORT WORK_US
-module(echo).
-export([main/0]).

%% So many packets come before the socket asks again.
-define(ACTIVE, 100).

main() ->
    [Host, Port, WorkUs] = init:get_plain_arguments(),
    {ok, Address} = inet:parse_address(Host),
    {ok, Listener} = gen_tcp:listen(list_to_integer(Port), [
        binary,
        {ip, Address},
        {packet, raw},
        {active, false},
        {nodelay, true},
        {reuseaddr, true},
        {backlog, 4096},
        {buffer, 65536}
    ]),
    Work = erlang:convert_time_unit(list_to_integer(WorkUs), microsecond, native),
    [spawn(fun() -> accept(Listener, Work) end) || _ <- lists:seq(1, 16)],
    {ok, Bound} = inet:port(Listener),
    io:format("listening ~s:~p~n", [Host, Bound]),
    receive
    after infinity -> ok
    end.

accept(Listener, Work) ->
    case gen_tcp:accept(Listener) of
        {ok, Socket} ->
            Pid = spawn(fun() -> start(Socket, Work) end),
            ok = gen_tcp:controlling_process(Socket, Pid),
            Pid ! go,
            accept(Listener, Work);
        {error, closed} ->
            ok;
        {error, _} ->
            timer:sleep(10),
            accept(Listener, Work)
    end.

start(Socket, Work) ->
    receive
        go -> ok
    end,
    case inet:setopts(Socket, [{active, ?ACTIVE}]) of
        ok -> echo(Socket, Work);
        {error, _} -> gen_tcp:close(Socket)
    end.

echo(Socket, Work) ->
    receive
        {tcp, Socket, Bytes} ->
            work(Work),
            case gen_tcp:send(Socket, Bytes) of
                ok -> echo(Socket, Work);
                {error, _} -> gen_tcp:close(Socket)
            end;
        {tcp_passive, Socket} ->
            case inet:setopts(Socket, [{active, ?ACTIVE}]) of
                ok -> echo(Socket, Work);
                {error, _} -> gen_tcp:close(Socket)
            end;
        {tcp_closed, Socket} ->
            ok;
        {tcp_error, Socket, _} ->
            gen_tcp:close(Socket)
    end.

work(0) -> ok;
work(Work) -> spin(erlang:monotonic_time() + Work).

spin(End) ->
    case erlang:monotonic_time() < End of
        true -> spin(End);
        false -> ok
    end.
