%% Interpreter for the programs of `servers/program.rs`, whose documentation says what each step is.
-module(servers).
-behaviour(gen_server).
-export([run/1, init/1, handle_call/3, handle_cast/2, handle_info/2, handle_continue/2, terminate/2]).

run({Trap, Init, Steps}) ->
    process_flag(trap_exit, true),
    put(log, []), put(step, 0), put(clients, []), put(short, []), put(server, undefined),
    case gen_server:start_link(?MODULE, {self(), Trap, Init}, []) of
        {ok, Server} ->
            put(server, Server),
            log("c:start=ok"),
            settle(is_timeout(Init)),
            [begin put(step, get(step) + 1), settle(step(Step)) end || Step <- Steps],
            put(step, get(step) + 1),
            settle(step({stop, normal}));
        %% OTP leaves the exit in the mailbox up to 25, and takes it out from 26 on.
        ignore -> log("c:start=ignore");
        {error, Reason} -> log(["c:start=", differential:reason(Reason)])
    end,
    %% They wait for what comes late, and after some ten thousand programs there is no room for more processes.
    lists:foreach(fun(Client) -> exit(Client, kill) end, get(clients)),
    lists:reverse(get(log)).

log(Word) -> put(log, [[integer_to_list(get(step)), $:, Word] | get(log)]).

%% Says whether the server waits for its timeout now.
step({call, Id, Time, Answer, Next}) ->
    Server = get(server),
    client(integer_to_list(Id), fun() ->
        [$r, integer_to_list(gen_server:call(Server, {ask, Id, Answer, Next},
                                             case Time of short -> 2; infinity -> infinity end))]
    end),
    case Time of short -> put(short, [integer_to_list(Id) | get(short)]); infinity -> ok end,
    is_timeout(Next);
step({cast, Id, Next}) -> gen_server:cast(get(server), {told, Id, Next}), is_timeout(Next);
step({info, Id, Next}) -> get(server) ! {info, Id, Next}, is_timeout(Next);
step({reply, Id}) -> gen_server:cast(get(server), {reply, Id}), false;
step({stop, Reason}) ->
    Server = get(server),
    Name = "stop" ++ integer_to_list(get(step)),
    put(short, [Name | get(short)]),
    client(Name, fun() -> atom_to_list(gen_server:stop(Server, Reason, infinity)) end),
    false;
step({exit, Reason}) -> exit(get(server), Reason), false.

is_timeout(timeout) -> is_process_alive(get(server));
is_timeout({continue, 2}) -> is_process_alive(get(server));
is_timeout(_) -> false.

client(Name, Call) ->
    Controller = self(),
    Pid = spawn(fun() ->
        Result = try Call() catch
            exit:{timeout, _} -> "timeout";
            exit:{noproc, _} -> "noproc";
            exit:noproc -> "noproc";
            exit:{Reason, {_, call, _}} -> ["exit.", differential:reason(Reason)];
            exit:{Reason, {sys, terminate, _}} -> ["exit.", differential:reason(Reason)];
            exit:Reason -> ["exit.", differential:reason(Reason)]
        end,
        Controller ! {log, ["c:", Name, $=, Result]},
        %% Whatever comes late is to be seen.
        receive Late -> Controller ! {log, ["c:", Name, "=late", io_lib:format("~0p", [Late])]} end
    end),
    put(clients, [Pid | get(clients)]).

%% Waits until nobody has anything to do but to wait; with `true` until the server's timeout has come, too, and in any case
%% until short calls have.
settle(Timeout) ->
    case quiet(3) of
        false -> settle(Timeout);
        true when Timeout -> receive after 1 -> settle(not lists:any(fun is_timed_out/1, get(log)) andalso alive()) end;
        true -> ok
    end.

is_timed_out(Word) -> has(Word, [integer_to_list(get(step)), ":s:timeout"]).

alive() -> is_process_alive(get(server)).

quiet(0) -> true;
quiet(Rounds) ->
    erlang:yield(),
    Before = get(log),
    collect(),
    Waits = lists:all(fun waits/1, [get(server) | get(clients)]),
    case Waits andalso get(log) =:= Before andalso not short_calls() of
        true -> quiet(Rounds - 1);
        false -> false
    end.

waits(undefined) -> true;
waits(Pid) ->
    case process_info(Pid, [status, message_queue_len]) of
        undefined -> true;
        [{status, waiting}, {message_queue_len, 0}] -> true;
        _ -> false
    end.

%% Calls that wait for a limited time, and stops, that are not over yet.
short_calls() ->
    lists:any(fun(Name) -> not lists:any(fun(Word) -> has(Word, ["c:", Name, $=]) end, get(log)) end, get(short)).

has(Word, Part) -> string:find(lists:flatten(Word), lists:flatten(Part)) =/= nomatch.

collect() ->
    receive
        {log, Word} -> log(Word), collect();
        {'EXIT', _, Reason} -> log(["c:end=", differential:reason(Reason)]), collect()
    after 0 -> ok
    end.

%% The server.

init({Controller, Trap, Init}) ->
    process_flag(trap_exit, Trap),
    put(controller, Controller),
    case Init of
        ignore -> ignore;
        {stop, Reason} -> {stop, Reason};
        _ -> list_to_tuple([ok, #{} | next(Init)])
    end.

note(Word) -> get(controller) ! {log, ["s:", Word]}.

next(go_on) -> [];
next(timeout) -> [1];
next(hibernate) -> [hibernate];
next({continue, K}) -> [{continue, K}];
next({exit, Reason}) -> exit(Reason);
next({crash, K}) -> error({crash, K}).

noreply({stop, Reason}, State) -> {stop, Reason, State};
noreply(Next, State) -> list_to_tuple([noreply, State | next(Next)]).

handle_call({ask, Id, Answer, Next}, From, State) ->
    note(["call.", integer_to_list(Id)]),
    case Answer of
        now when element(1, Next) =:= stop -> {stop, element(2, Next), Id, State};
        now -> list_to_tuple([reply, Id, State | next(Next)]);
        first -> gen_server:reply(From, Id), noreply(Next, State);
        later -> noreply(Next, State#{Id => From})
    end.

handle_cast({told, Id, Next}, State) ->
    note(["cast.", integer_to_list(Id)]),
    noreply(Next, State);
handle_cast({reply, Id}, State) ->
    case maps:take(Id, State) of
        {From, Rest} -> gen_server:reply(From, Id), note(["reply.", integer_to_list(Id)]), {noreply, Rest};
        error -> note("nothing"), {noreply, State}
    end.

handle_info({info, Id, Next}, State) ->
    note(["info.", integer_to_list(Id)]),
    noreply(Next, State);
handle_info(timeout, State) ->
    note("timeout"),
    {noreply, State};
handle_info({'EXIT', _, Reason}, State) ->
    note(["exit.", differential:reason(Reason)]),
    {noreply, State}.

handle_continue(K, State) ->
    note(["continue.", integer_to_list(K)]),
    case K of
        0 -> {noreply, State};
        1 -> {stop, {v, 1}, State};
        2 -> {noreply, State, 1};
        3 -> {noreply, State, {continue, 0}}
    end.

terminate(Reason, _) -> note(["terminate.", differential:reason(Reason)]).
