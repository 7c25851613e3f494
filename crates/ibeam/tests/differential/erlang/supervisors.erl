%% Interpreter for the programs of `supervisors/program.rs`, whose documentation says what each step is.
-module(supervisors).
-behaviour(supervisor).
-export([run/1, init/1, start_child/1]).

run({{Strategy, Intensity, AutoShutdown}, Children, Steps}) ->
    process_flag(trap_exit, true),
    World = ets:new(world, [public, set]),
    Logger = spawn_link(fun() -> logger([]) end),
    ets:insert(World, {logger, Logger}),
    Flags = #{strategy => Strategy, intensity => Intensity, period => 3600, auto_shutdown => AutoShutdown},
    Specs = [spec(World, Child) || Child <- Children],
    put(world, World), put(logger, Logger), put(log, []), put(step, 0),
    case supervisor:start_link(?MODULE, {Flags, Specs}) of
        {ok, Supervisor} ->
            put(supervisor, Supervisor),
            survey(),
            [step(Step) || Step <- Steps],
            exit(Supervisor, shutdown),
            case get(ended) of
                undefined -> receive {'EXIT', Supervisor, Reason} -> collect(), ended(Reason) end;
                true -> ok
            end;
        {error, {shutdown, {failed_to_start_child, Id, _}}} ->
            collect(),
            log(["failed=", integer_to_list(Id)])
    end,
    collect(),
    unlink(Logger),
    exit(Logger, kill),
    lists:reverse(get(log)).

init(Init) -> {ok, Init}.

log(Word) -> put(log, [[integer_to_list(get(step)), $:, Word] | get(log)]).

%% What children did since the last time.
collect() ->
    get(logger) ! {collect, self()},
    receive {collected, Words} -> [log(Word) || Word <- Words], Words =/= [] end.

%% Sees starts and ends of children in the order in which they happen.
logger(Words) ->
    receive
        {note, Word} -> logger([Word | Words]);
        {watch, Pid, Id, From} ->
            monitor(process, Pid, [{tag, {down, Id}}]),
            From ! watched,
            logger([["+", integer_to_list(Id)] | Words]);
        {{down, Id}, _, process, _, Reason} ->
            logger([[$r, integer_to_list(Id), $., differential:reason(Reason)], [$-, integer_to_list(Id)] | Words]);
        {collect, From} -> From ! {collected, lists:reverse(Words)}, logger([])
    end.

spec(World, {Id, Restart, Shutdown, Significant, Body, Plan}) ->
    #{id => Id, restart => Restart, shutdown => Shutdown, significant => Significant,
      start => {?MODULE, start_child, [{World, Id, Body, Plan}]}}.

start_child({World, Id, Body, Plan}) ->
    [{logger, Logger}] = ets:lookup(World, logger),
    Start = ets:update_counter(World, {starts, Id}, 1, {{starts, Id}, 0}),
    case Start =< length(Plan) andalso lists:nth(Start, Plan) of
        ignore -> Logger ! {note, [$?, integer_to_list(Id)]}, ignore;
        {error, Value} -> Logger ! {note, [$!, integer_to_list(Id)]}, {error, {v, Value}};
        crash -> Logger ! {note, [$!, integer_to_list(Id)]}, error(crash);
        _ ->
            Supervisor = self(),
            Pid = spawn_link(fun() -> body(Body, Supervisor) end),
            %% It traps exits before anybody can stop it.
            receive {ready, Pid} -> ok end,
            ets:insert(World, {{pid, Id}, Pid}),
            Logger ! {watch, Pid, Id, self()},
            receive watched -> {ok, Pid} end
    end.

body(Body, Supervisor) ->
    process_flag(trap_exit, Body =/= plain),
    Supervisor ! {ready, self()},
    case Body of
        plain -> obey();
        _ -> trapping(Body)
    end.

obey() -> receive {die, Reason} -> exit(Reason) end.

trapping(Body) ->
    receive
        {die, Reason} -> exit(Reason);
        {'EXIT', _, Reason} when Body =:= obeys -> exit(Reason);
        {'EXIT', _, _} when Body =:= lies -> exit({v, 9});
        {'EXIT', _, _} when Body =:= leaves -> exit(normal);
        {'EXIT', _, _} -> trapping(Body)
    end.

step(Step) ->
    put(step, get(step) + 1),
    case perform(Step) of
        silent -> ok;
        Result -> collect(), log(["=", Result])
    end,
    survey().

perform({exit_child, Id, Reason}) ->
    case ets:lookup(get(world), {pid, Id}) of
        [{_, Pid}] ->
            Monitor = monitor(process, Pid),
            case Reason of
                kill -> exit(Pid, kill);
                _ -> Pid ! {die, Reason}
            end,
            receive {'DOWN', Monitor, process, Pid, _} -> silent end;
        [] -> "nobody"
    end;
perform({start_child, Child}) ->
    ask(fun(Supervisor) -> supervisor:start_child(Supervisor, spec(get(world), Child)) end);
perform({terminate_child, Id}) ->
    ask(fun(Supervisor) -> supervisor:terminate_child(Supervisor, Id) end);
perform({restart_child, Id}) ->
    ask(fun(Supervisor) -> supervisor:restart_child(Supervisor, Id) end);
perform({delete_child, Id}) ->
    ask(fun(Supervisor) -> supervisor:delete_child(Supervisor, Id) end).

ask(Request) ->
    try Request(get(supervisor)) of
        ok -> "ok";
        {ok, undefined} -> "ignored";
        {ok, _} -> "ok";
        {error, {already_started, _}} -> "already_started";
        {error, Word} when is_atom(Word) -> atom_to_list(Word);
        %% The second comes from `start_child`, with the child's specification.
        {error, {v, Value}} -> ["v(", integer_to_list(Value), $)];
        {error, {{v, Value}, _}} -> ["v(", integer_to_list(Value), $)];
        {error, _} -> "error"
    catch
        exit:_ -> "noproc"
    end.

%% Waits until supervisor and children have nothing to do, and says who is there.
survey() ->
    %% What was collected before is older than this.
    Deaths = collect(),
    case children() of
        noproc when Deaths -> survey();
        noproc ->
            Supervisor = get(supervisor),
            receive {'EXIT', Supervisor, Reason} -> ended(Reason) after 0 -> ok end;
        Children ->
            Restarting = [Id || {Id, restarting, _, _} <- Children],
            case Deaths orelse Restarting =/= [] of
                true -> survey();
                false -> log_children(Children)
            end
    end.

ended(Reason) ->
    put(ended, true),
    log(["end=", differential:reason(Reason)]).

children() ->
    try supervisor:which_children(get(supervisor)) catch exit:_ -> noproc end.

log_children(Children) ->
    log(["[", lists:join($,, [[integer_to_list(Id), state(Child)] || {Id, Child, _, _} <- Children]), "]"]),
    Counts = supervisor:count_children(get(supervisor)),
    log(["count=", lists:join($/, [integer_to_list(proplists:get_value(Key, Counts))
                                   || Key <- [specs, active, supervisors, workers]])]).

state(undefined) -> "-";
state(Pid) when is_pid(Pid) -> "+".
