%% Interpreter for the programs of `processes/program.rs`, whose documentation says what each operation is.
%%
%% The controller lets actors run their operations, and after each step waits until nothing is under way: it goes round
%% asking every process, until two rounds in a row have met no death. In this emulator, which has one scheduler, a
%% signal is in its receiver's queue when the call that sends it returns, and a process ends without interruption.
-module(processes).
-export([run/1]).

run({Count, Steps}) ->
    Prefix = "differential_",
    World = ets:new(world, [public, set]),
    put(world, World),
    put(log, []),
    [begin
         {Pid, _} = spawn_monitor(actor(World, Index, self())),
         born(World, Index, Pid)
     end || Index <- lists:seq(0, Count - 1)],
    steps(Steps, 0),
    Log = get(log),
    [exit(Pid, kill) || {_, Pid} <- live()],
    settle(-1),
    [erlang:cancel_timer(Timer) || {{timer, _}, Timer, _, _, _} <- ets:tab2list(World)],
    [catch unregister(Name) || Name <- registered(), lists:prefix(Prefix, atom_to_list(Name))],
    Log.

born(World, Index, Pid) ->
    ets:insert(World, [{{pid, Index}, Pid}, {{index, Pid}, Index}, {{live, Index}, Pid}]).

live() -> [{Index, Pid} || {{live, Index}, Pid} <- ets:tab2list(get(world))].

log(Word) -> put(log, [Word | get(log)]).

steps([], _) -> ok;
steps([advance | Rest], Number) ->
    advance(),
    settle(Number),
    steps(Rest, Number + 1);
steps([Parts | Rest], Number) ->
    ets:match_delete(get(world), {{lived, '_'}}),
    ets:insert(get(world), [{{lived, Index}} || {Index, _} <- live()]),
    Running = [Index || {Index, Operations} <- Parts, begin_part(Index, Operations)],
    await(Running, Number),
    settle(Number),
    steps(Rest, Number + 1).

begin_part(Index, Operations) ->
    case ets:lookup(get(world), {live, Index}) of
        [{_, Pid}] -> Pid ! {'$do', Operations}, true;
        [] -> false
    end.

await([], _) -> ok;
await(Running, Number) ->
    receive
        {done, Index} -> await(lists:delete(Index, Running), Number);
        {'DOWN', _, process, Pid, Reason} -> await(lists:delete(died(Pid, Reason, Number), Running), Number);
        {result, Id, Result} -> log([integer_to_list(Id), $=, Result]), await(Running, Number);
        {spawned, Index, Pid, By} ->
            monitor(process, Pid),
            born(get(world), Index, Pid),
            By ! '$watched',
            await(Running, Number)
    end.

died(Pid, Reason, Number) ->
    World = get(world),
    [{_, Index}] = ets:lookup(World, {index, Pid}),
    ets:delete(World, {live, Index}),
    log([$d, integer_to_list(Number), $., integer_to_list(Index), $=, differential:reason(Reason)]),
    false = is_process_alive(Pid),
    Index.

%% Waits until no signal is under way and all short timers have fired.
settle(Number) ->
    case [Timer || {{timer, _}, Timer, short, _, _} <- ets:tab2list(get(world)),
                   erlang:read_timer(Timer) =/= false] of
        [] -> ok;
        _ -> receive after 1 -> ok end, settle(Number)
    end,
    quiet(2, Number).

quiet(0, _) -> ok;
quiet(Rounds, Number) ->
    Asked = [begin Pid ! {'$ping', self()}, Pid end || {_, Pid} <- live()],
    case answers(Asked, Number, false) of
        true -> quiet(2, Number);
        false -> quiet(Rounds - 1, Number)
    end.

answers([], _, Deaths) -> Deaths;
answers(Asked, Number, Deaths) ->
    receive
        {pong, Pid} -> answers(lists:delete(Pid, Asked), Number, Deaths);
        {'DOWN', _, process, Pid, Reason} ->
            died(Pid, Reason, Number),
            answers(lists:delete(Pid, Asked), Number, true);
        {result, Id, Result} ->
            log([integer_to_list(Id), $=, Result]),
            answers(Asked, Number, Deaths)
    end.

%% An hour goes by: what is still pending fires, in the order in which it was armed.
advance() ->
    Pending = lists:sort([{Id, Timer, Target, Message}
                          || {{timer, Id}, Timer, long, Target, Message} <- ets:tab2list(get(world))]),
    [case erlang:cancel_timer(Timer) of
         false -> ok;
         _ -> catch Target ! Message
     end || {_, Timer, Target, Message} <- Pending].

actor(World, Index, Controller) ->
    fun() ->
        put(world, World), put(me, Index), put(controller, Controller),
        loop()
    end.

loop() ->
    receive
        {'$ping', From} -> From ! {pong, self()};
        {'$do', Operations} ->
            [perform(Id, Operation) || {Id, Operation} <- Operations],
            get(controller) ! {done, get(me)}
    end,
    loop().

perform(Id, Operation) ->
    case operation(Id, Operation) of
        silent -> ok;
        Result -> get(controller) ! {result, Id, Result}
    end.

to(Index, Then) ->
    case ets:lookup(get(world), {pid, Index}) of
        [{_, Pid}] -> Then(Pid);
        [] -> "nobody"
    end.

%% As `to`, but only if it lived when the step began.
to_live(Index, Then) ->
    case ets:member(get(world), {lived, Index}) of
        true -> to(Index, Then);
        false -> "dead"
    end.

known(Key, Then) ->
    case ets:lookup(get(world), Key) of
        [Entry] -> Then(Entry);
        [] -> "unknown"
    end.

name(Number) -> list_to_atom("differential_" ++ integer_to_list(Number)).

index(Pid) ->
    case ets:lookup(get(world), {index, Pid}) of
        [{_, Index}] -> integer_to_list(Index);
        [] -> "?"
    end.

indices(Pids) ->
    Indices = lists:sort([Index || Pid <- Pids, {_, Index} <- ets:lookup(get(world), {index, Pid})]),
    ["[", lists:join($,, [integer_to_list(Index) || Index <- Indices]), "]"].

attempt(Then) ->
    try Then() of
        _ -> "ok"
    catch
        error:badarg -> "badarg"
    end.

watch(Id, Target, Options) ->
    Reference = monitor(process, Target, Options),
    ets:insert(get(world), [{{monitor, Id}, Reference}, {{monitor_id, Reference}, Id}]),
    Reference.

operation(Id, {spawn, Index, How}) ->
    Body = actor(get(world), Index, get(controller)),
    Pid = case How of
        plain -> spawn(Body);
        link -> spawn_link(Body);
        monitor ->
            {New, Reference} = spawn_monitor(Body),
            ets:insert(get(world), [{{monitor, Id}, Reference}, {{monitor_id, Reference}, Id}]),
            New
    end,
    ets:insert(get(world), [{{pid, Index}, Pid}, {{index, Pid}, Index}]),
    %% The controller watches it before anything can happen to it.
    get(controller) ! {spawned, Index, Pid, self()},
    receive '$watched' -> silent end;
operation(Id, {send, Index}) ->
    to(Index, fun(Pid) -> Pid ! {m, get(me), Id}, silent end);
operation(Id, {send_name, Name}) ->
    attempt(fun() -> name(Name) ! {m, get(me), Id} end);
operation(Id, {send_alias, Alias}) ->
    known({alias, Alias}, fun({_, Reference}) -> Reference ! {m, get(me), Id}, silent end);
operation(_, {exit_signal, Index, Reason}) ->
    to(Index, fun(Pid) -> exit(Pid, Reason), silent end);
operation(_, {exit, Reason}) ->
    exit(Reason);
operation(_, {crash, Value}) ->
    error({crash, Value});
operation(_, {link, Index}) ->
    %% To a process that is gone and for a caller that does not trap exits it is an error. The signal that it is otherwise, and
    %% always in ibeam, would end the caller as well.
    to(Index, fun(Pid) -> try link(Pid) catch error:noproc -> exit(noproc) end, silent end);
operation(_, {link_live, Index}) ->
    to_live(Index, fun(Pid) -> link(Pid), silent end);
operation(_, {unlink, Index}) ->
    to(Index, fun(Pid) -> unlink(Pid), silent end);
operation(Id, {monitor, Index}) ->
    to(Index, fun(Pid) -> watch(Id, Pid, []), silent end);
operation(Id, {monitor_name, Name}) ->
    watch(Id, name(Name), []), silent;
operation(Id, {monitor_alias, Index, Mode}) ->
    to(Index, fun(Pid) ->
        Reference = watch(Id, Pid, [{alias, Mode}]),
        ets:insert(get(world), {{alias, Id}, Reference}),
        silent
    end);
operation(_, {demonitor, Monitor, How}) ->
    known({monitor, Monitor}, fun({_, Reference}) ->
        case How of
            plain -> atom_to_list(demonitor(Reference, [info]));
            flush -> atom_to_list(demonitor(Reference, [flush, info]));
            quiet -> demonitor(Reference, [flush]), silent
        end
    end);
operation(_, {trap, Trap}) ->
    atom_to_list(process_flag(trap_exit, Trap));
operation(Id, {alias, Mode}) ->
    Reference = alias([Mode]),
    ets:insert(get(world), {{alias, Id}, Reference}),
    silent;
operation(_, {unalias, Alias}) ->
    known({alias, Alias}, fun({_, Reference}) -> atom_to_list(unalias(Reference)) end);
operation(_, {register, Name, Index}) ->
    to(Index, fun(Pid) -> attempt(fun() -> register(name(Name), Pid) end) end);
operation(_, {unregister, Name}) ->
    attempt(fun() -> unregister(name(Name)) end);
operation(_, {whereis, Name}) ->
    case whereis(name(Name)) of
        undefined -> "nobody";
        Pid -> index(Pid)
    end;
operation(Id, {timer, Index, Delay}) ->
    to(Index, fun(Pid) -> arm(Id, Pid, Delay) end);
operation(Id, {timer_name, Name, Delay}) ->
    arm(Id, name(Name), Delay);
operation(_, {cancel, Timer}) ->
    known({timer, Timer}, fun({_, Reference, _, _, _}) ->
        case erlang:cancel_timer(Reference) of
            false -> "late";
            _ -> "in_time"
        end
    end);
operation(_, {recv, Pattern, Wait}) ->
    case receive_one(Pattern, case Wait of zero -> 0; short -> 1 end) of
        {ok, Message} -> message(Message);
        none -> "none"
    end;
operation(_, drain) ->
    ["[", lists:join($,, [message(Message) || Message <- drain()]), "]"];
operation(_, info) ->
    {links, Links} = process_info(self(), links),
    {monitored_by, Watchers} = process_info(self(), monitored_by),
    {monitors, Monitors} = process_info(self(), monitors),
    Names = lists:sort([atom_to_list(Name) || {process, {Name, _}} <- Monitors]),
    Pids = [Pid || {process, Pid} <- Monitors, is_pid(Pid)],
    ["links", indices(Links), "by", indices(lists:delete(get(controller), Watchers)),
     "monitors", indices(Pids), "names", lists:join($,, Names)];
operation(_, {alive, Index}) ->
    to(Index, fun(Pid) -> atom_to_list(is_process_alive(Pid)) end).

arm(Id, Target, Delay) ->
    Message = {t, Id},
    Time = case Delay of short -> 1; long -> 3600000 end,
    ets:insert(get(world), {{timer, Id}, erlang:send_after(Time, Target, Message), Delay, Target, Message}),
    silent.

receive_one({from, From}, Time) ->
    receive {m, From, _} = Message -> {ok, Message} after Time -> none end;
receive_one({id, Id}, Time) ->
    receive
        {m, _, Id} = Message -> {ok, Message};
        {t, Id} = Message -> {ok, Message}
    after Time -> none
    end;
receive_one({down, Monitor}, Time) ->
    case ets:lookup(get(world), {monitor, Monitor}) of
        [{_, Reference}] ->
            receive {'DOWN', Reference, _, _, _} = Message -> {ok, Message} after Time -> none end;
        [] -> none
    end;
receive_one({exit, Index}, Time) ->
    case ets:lookup(get(world), {pid, Index}) of
        [{_, Pid}] -> receive {'EXIT', Pid, _} = Message -> {ok, Message} after Time -> none end;
        [] -> none
    end.

drain() ->
    receive
        {m, _, _} = Message -> [Message | drain()];
        {t, _} = Message -> [Message | drain()];
        {'EXIT', _, _} = Message -> [Message | drain()];
        {'DOWN', _, _, _, _} = Message -> [Message | drain()]
    after 0 -> []
    end.

message({m, From, Id}) -> ["m.", integer_to_list(From), $., integer_to_list(Id)];
message({t, Id}) -> ["t.", integer_to_list(Id)];
message({'EXIT', Pid, Reason}) -> ["x.", index(Pid), $., differential:reason(Reason)];
message({'DOWN', Reference, process, Target, Reason}) ->
    [{_, Id}] = ets:lookup(get(world), {monitor_id, Reference}),
    Who = case Target of
        {Name, _} -> atom_to_list(Name);
        Pid -> index(Pid)
    end,
    ["n.", Who, $., integer_to_list(Id), $., differential:reason(Reason)].
