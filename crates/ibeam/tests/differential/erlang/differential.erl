%% Reads programs from standard input, one Erlang term a line, and writes what each did, one line a program.
%%
%%   {processes, Program} | {supervisors, Program} | {servers, Program}
%%
%% Many programs run in one `erl`, one after the other: starting the emulator costs more than a thousand of them.
-module(differential).
-export([main/0, reason/1, words/1]).

main() ->
    %% Programs crash on purpose; what they did is in their trace.
    logger:set_primary_config(level, none),
    ok = io:setopts(standard_io, [binary, {encoding, latin1}]),
    loop().

loop() ->
    case io:get_line(standard_io, "") of
        eof ->
            halt(0);
        Line ->
            {ok, Tokens, _} = erl_scan:string(binary_to_list(Line)),
            {ok, {Module, Program}} = erl_parse:parse_term(Tokens),
            io:put_chars(standard_io, [trace(Module, Program), $\n]),
            loop()
    end.

%% In a process of its own, so that nothing of one program is left in the mailbox for the next.
trace(Module, Program) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({trace, Module:run(Program)}) end),
    receive
        {'DOWN', Monitor, process, Pid, {trace, Trace}} -> words(Trace);
        {'DOWN', Monitor, process, Pid, Reason} -> io_lib:format("interpreter:~0p", [Reason])
    after 60000 ->
        Where = process_info(Pid, current_stacktrace),
        exit(Pid, kill),
        io_lib:format("hangs:~0p", [Where])
    end.

words(List) -> lists:join($\s, List).

%% An exit reason as one word, the same that the other side writes.
reason(Reason) when is_atom(Reason) -> atom_to_list(Reason);
reason({v, Value}) -> ["v(", integer_to_list(Value), ")"];
reason({shutdown, Value}) when is_integer(Value) -> ["shutdown(", integer_to_list(Value), ")"];
reason({{crash, Value}, Stack}) when is_list(Stack) -> ["crash(", integer_to_list(Value), ")"];
reason(Other) -> re:replace(io_lib:format("~0p", [Other]), "\\s+", "_", [global]).
