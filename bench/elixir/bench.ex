# The BEAM's column: the same work as in `src/systems/`, as one would write it in Elixir.
#
# Started by the program with a workload's name and the sizes (`name=number`); prints a line `figure NUMBER` for each
# figure, or says what was wrong and ends with status 1.

defmodule Bench.Sum do
  @moduledoc "A server with one number."
  use GenServer

  @impl true
  def init(total), do: {:ok, total}

  @impl true
  def handle_call({:add, by}, _from, total), do: {:reply, total + by, total + by}

  @impl true
  def handle_cast({:feed, by}, total), do: {:noreply, total + by}

  # Adds, tells the client what it held, and ends.
  def handle_cast({:finish, by, client}, total) do
    send(client, {:stopped, total + by})
    {:stop, :normal, total}
  end
end

defmodule Bench.Fragile do
  @moduledoc "A server that crashes when it is told to; each start is told to the client."
  use GenServer

  def start_link(client), do: GenServer.start_link(__MODULE__, client)

  @impl true
  def init(client) do
    send(client, {:up, self()})
    {:ok, 0}
  end

  @impl true
  def handle_call({:add, by}, _from, total), do: {:reply, total + by, total + by}

  @impl true
  def handle_cast(:crash, _total), do: raise("as it was told")
end

defmodule Bench.Child do
  @moduledoc "A server among many children. What it holds is added up when it is asked for, not at its end."
  use GenServer, restart: :temporary

  def start_link(number), do: GenServer.start_link(__MODULE__, number)

  @impl true
  def init(number), do: {:ok, number}

  @impl true
  def handle_call(:held, _from, number), do: {:reply, number, number}
end

defmodule Bench do
  @moduledoc "One workload of the benchmark, in a BEAM of its own."

  alias Bench.{Child, Fragile, Sum}

  def main([workload | sizes]) do
    # Crashes that are meant would be printed, which costs more than they do.
    :logger.set_primary_config(:level, :none)

    for size <- sizes do
      [name, number] = String.split(size, "=")
      :persistent_term.put({:size, String.to_atom(name)}, String.to_integer(number))
    end

    limit = size(:limit_ms)

    spawn(fn ->
      Process.sleep(limit)
      wrong("not done after #{limit} ms")
    end)

    # The client is a process, as in the other systems.
    {client, monitor} =
      spawn_monitor(fn ->
        for figure <- run(workload), do: IO.puts("figure #{figure}")
        exit(:done)
      end)

    receive do
      {:DOWN, ^monitor, :process, ^client, :done} -> System.halt(0)
      {:DOWN, ^monitor, :process, ^client, reason} -> wrong(inspect(reason))
    end
  end

  defp wrong(text) do
    IO.puts(:stderr, "error: #{text}")
    System.halt(1)
  end

  defp size(name), do: :persistent_term.get({:size, name})

  defp equal(_what, same, same), do: :ok
  defp equal(what, actual, expected), do: wrong("#{what}: expected #{expected}, got #{actual}")

  defp sum_below(n), do: div(n * (n - 1), 2)

  # Monotonic nanoseconds.
  defp now, do: :erlang.monotonic_time(:nanosecond)
  defp ns_each(start, count), do: (now() - start) / count
  defp millions_per_second(start, count), do: count * 1000 / (now() - start)

  defp start_server(total \\ 0) do
    {:ok, server} = GenServer.start(Sum, total)
    server
  end

  defp times(0, _work), do: :ok

  defp times(left, work) do
    work.()
    times(left - 1, work)
  end

  # Runs so many clients at once and waits for all; one that crashes takes the whole run along.
  defp at_once(count, work) do
    clients =
      for _ <- 1..count do
        {_pid, monitor} = spawn_monitor(work)
        monitor
      end

    for monitor <- clients do
      receive do
        {:DOWN, ^monitor, :process, _pid, :normal} -> :ok
        {:DOWN, ^monitor, :process, _pid, reason} -> exit(reason)
      end
    end
  end

  def run("call_seq"), do: call_seq(:infinity)
  def run("call_seq_timeout"), do: call_seq(size(:call_timeout))

  def run("call_conc") do
    server = start_server()
    {clients, each, timeout} = {size(:clients), size(:calls_per_client), size(:call_timeout)}
    start = now()
    at_once(clients, fn -> calls(server, 0, each, timeout) end)
    figure = millions_per_second(start, clients * each)
    equal("total", GenServer.call(server, {:add, 0}), clients * sum_below(each))
    [figure]
  end

  def run("cast_1to1"), do: cast(1)
  def run("cast_100to1"), do: cast(size(:senders))

  def run("pairs") do
    {pairs, trips} = {size(:pairs), size(:trips_per_pair)}
    start = now()
    at_once(pairs, fn -> checked_calls(start_server(), 0, trips, :infinity) end)
    [millions_per_second(start, pairs * trips)]
  end

  def run("ring") do
    {ring, hops, client} = {size(:ring), size(:hops), self()}

    first =
      spawn(fn ->
        receive do
          {:next, next} -> node(0, next, client)
        end
      end)

    next =
      Enum.reduce((ring - 1)..1//-1, first, fn place, next ->
        spawn(fn -> node(place, next, client) end)
      end)

    send(first, {:next, next})

    # A lap first, so that every node has run before the clock starts.
    lap = fn hops ->
      start = now()
      send(first, {:token, hops})

      receive do
        {:last, place} ->
          figure = ns_each(start, hops)
          equal("the token's last place", place, rem(hops, ring))
          figure
      end
    end

    lap.(ring)
    [lap.(hops)]
  end

  def run("skynet") do
    leaves = size(:skynet_leaves)
    branches = size(:skynet_branches)
    before = memory("VmRSS:")
    client = self()
    start = now()
    spawn(fn -> tree(0, leaves, branches, client) end)

    receive do
      {:sum, sum} ->
        each = ns_each(start, size(:skynet_processes))
        equal("sum of the leaves", sum, sum_below(leaves))
        [each, (memory("VmHWM:") - before) / size(:skynet_processes)]
    end
  end

  # A process always has its mailbox: the same work, beside another figure of plain tokio.
  def run("spawn_exit"), do: spawn_exit()
  def run("spawn_exit_bare"), do: spawn_exit()

  def run("spawn_idle"), do: idle(&spawn_holder/1, fn pid, client -> send(pid, {:stop, 1, client}) end)

  def run("spawn_idle_server") do
    idle(&start_server/1, fn server, client -> GenServer.cast(server, {:finish, 1, client}) end)
  end

  def run("idle_cpu") do
    {pids, _each} = spawn_all(&spawn_holder/1)
    Process.sleep(size(:settle_ms))
    watch = size(:idle_watch_ms)
    {start, before} = {now(), cpu_ns()}
    Process.sleep(watch)
    share = (cpu_ns() - before) / (now() - start) * 100
    stop_all(pids, fn pid, client -> send(pid, {:stop, 1, client}) end)
    [share]
  end

  # Latency counts from when a call was due: counting from the send would hide that the client itself did not run.
  def run("fairness") do
    {pairs, calls} = {size(:fair_pairs), size(:fair_calls)}
    {period, hogs, hog_ns} = {size(:fair_period_ms) * 1_000_000, size(:hogs), size(:hog_time_ms) * 1_000_000}
    begin = now() + 100_000_000
    client = self()

    for _ <- 1..pairs do
      spawn_link(fn ->
        server = start_server()

        latencies =
          for i <- 0..(calls - 1) do
            due = begin + period * i
            sleep_until(due)
            equal("reply", GenServer.call(server, {:add, 1}, :infinity), i + 1)
            now() - due
          end

        send(client, {:latencies, latencies})
      end)
    end

    sleep_until(begin)

    for _ <- 1..hogs do
      spawn_link(fn ->
        start = now()
        compute(start, hog_ns, 1)
        send(client, {:computed, now() - start})
      end)
    end

    latencies =
      Enum.flat_map(1..pairs, fn _ ->
        receive do
          {:latencies, latencies} -> latencies
        end
      end)

    for _ <- 1..hogs do
      receive do
        {:computed, took} -> equal("hog computed its time", took >= hog_ns, true)
      end
    end

    equal("calls", length(latencies), pairs * calls)
    sorted = latencies |> Enum.sort() |> List.to_tuple()
    last = tuple_size(sorted) - 1
    for share <- [0.5, 0.99, 1.0], do: elem(sorted, round(last * share)) / 1.0e6
  end

  def run("restart") do
    {warm_up, restarts, client} = {size(:warm_up), size(:restarts), self()}

    {:ok, _supervisor} =
      Supervisor.start_link([{Fragile, client}],
        strategy: :one_for_one,
        max_restarts: 2 * restarts,
        max_seconds: 3_600
      )

    server =
      receive do
        {:up, pid} -> pid
      end

    server = crashes(server, 0, warm_up)
    start = now()
    crashes(server, warm_up, warm_up + restarts)
    [ns_each(start, restarts)]
  end

  def run("children") do
    count = size(:children)
    {supervisor, pids, starting} = start_children(count)
    equal("reply", GenServer.call(List.last(pids), :held), count - 1)
    held = Enum.reduce(pids, 0, fn pid, sum -> sum + GenServer.call(pid, :held) end)
    equal("state of all", held, sum_below(count))
    start = now()
    for pid <- pids, do: :ok = DynamicSupervisor.terminate_child(supervisor, pid)
    stopping = ns_each(start, count)
    equal("children left", DynamicSupervisor.count_children(supervisor).active, 0)
    [starting, stopping]
  end

  def run("children_million") do
    count = size(:children_million)
    before = memory("VmRSS:")
    {supervisor, _pids, starting} = start_children(count)
    start = now()
    :ok = DynamicSupervisor.stop(supervisor, :normal, :infinity)
    stopping = ns_each(start, count)
    [starting, stopping, (memory("VmHWM:") - before) / count]
  end

  def run("task_await") do
    times(size(:warm_up), fn -> Task.await(Task.async(fn -> :ok end)) end)
    tasks = size(:tasks)
    start = now()
    sum = Enum.reduce(0..(tasks - 1), 0, fn i, sum -> sum + Task.await(Task.async(fn -> i end)) end)
    figure = ns_each(start, tasks)
    equal("sum of all", sum, sum_below(tasks))
    [figure]
  end

  def run("task_stream") do
    tasks = size(:tasks)
    start = now()
    stream = Task.async_stream(0..(tasks - 1), fn i -> i end, max_concurrency: size(:stream_width))

    outcomes =
      Enum.reduce(stream, 0, fn {:ok, i}, next ->
        equal("outcome", i, next)
        next + 1
      end)

    figure = millions_per_second(start, tasks)
    equal("outcomes", outcomes, tasks)
    [figure]
  end

  def run("fanout"), do: [broadcasts(size(:broadcasts), fn -> :ok end)]
  def run("fanout_in_turn"), do: [broadcasts(size(:broadcasts), &:erlang.yield/0)]

  def run("registry") do
    {count, readers, lookups} = {size(:registered), size(:readers), size(:lookups_per_reader)}
    {:ok, _} = Registry.start_link(keys: :unique, name: Names, partitions: System.schedulers_online())
    # Nanoseconds of all register and all unregister, each taken by the process itself, and who has come so far.
    counters = :atomics.new(3, [])
    client = self()
    owners = for key <- 0..(count - 1), do: spawn_link(fn -> registered(key, count, counters, client) end)
    all_have(:registered)
    equal("registered keys", Registry.count(Names), count)

    start = now()

    at_once(readers, fn ->
      found = found(:rand.seed(:exsss, self() |> :erlang.phash2()), lookups, count, 0)
      equal("found", found, lookups)
    end)

    reading = millions_per_second(start, readers * lookups)
    :atomics.put(counters, 3, 0)
    for owner <- owners, do: send(owner, :leave)
    all_have(:unregistered)
    equal("left", Registry.count(Names), 0)

    [
      :atomics.get(counters, 1) / count,
      reading,
      :atomics.get(counters, 2) / count,
      broadcasts(size(:dispatches), &:erlang.yield/0)
    ]
  end

  def run("table") do
    {keys, users, lookups} = {size(:table_keys), size(:table_users), size(:table_lookups)}
    options = [:public, read_concurrency: true, write_concurrency: true]
    table = :ets.new(:table, [:set | options])
    for key <- 0..(keys - 1), do: :ets.insert(table, {key, key})

    start = now()
    by_all(users, fn user -> equal("found", looked_up(table, user, lookups, keys, 0), lookups) end)
    reading = millions_per_second(start, users * lookups)

    every = size(:table_write_every)
    start = now()
    by_all(users, fn user -> equal("done", read_and_written(table, user, lookups, keys, every, 0), lookups) end)
    mixed = millions_per_second(start, users * lookups)

    inserts = size(:table_inserts)
    fresh = :ets.new(:fresh, [:set | options])
    start = now()
    by_all(users, fn user -> inserted(fresh, user - 1, users * inserts, users) end)
    inserting = millions_per_second(start, users * inserts)
    equal("inserted", :ets.info(fresh, :size), users * inserts)

    ordered = :ets.new(:ordered, [:ordered_set | options])
    for key <- 0..(keys - 1), do: :ets.insert(ordered, {key, key})
    {ranges, range} = {size(:table_ranges), size(:table_range)}
    start = now()
    {sum, expected} = ranges(ordered, 1, ranges, keys - range, range, 0, 0)
    each = ns_each(start, ranges)
    equal("sum of all ranges", sum, expected)
    [reading, mixed, inserting, each]
  end

  defp calls(_server, count, count, _timeout), do: :ok

  defp calls(server, i, count, timeout) do
    GenServer.call(server, {:add, i}, timeout)
    calls(server, i + 1, count, timeout)
  end

  defp checked_calls(_server, count, count, _timeout), do: :ok

  defp checked_calls(server, i, count, timeout) do
    equal("reply", GenServer.call(server, {:add, i}, timeout), sum_below(i + 1))
    checked_calls(server, i + 1, count, timeout)
  end

  defp call_seq(timeout) do
    server = start_server()
    times(size(:warm_up), fn -> GenServer.call(server, {:add, 0}, timeout) end)
    count = size(:sequential_calls)
    start = now()
    checked_calls(server, 0, count, timeout)
    [ns_each(start, count)]
  end

  # The closing call is answered after the last cast has been handled: with many senders it may have to be repeated, for
  # Erlang promises no order between the casts of those who have ended and the call of the one who has been told so.
  defp cast(senders) do
    # What OTP advises for a process that may have many messages waiting: its garbage collection passes them over.
    {:ok, server} = GenServer.start(Sum, 0, spawn_opt: [message_queue_data: :off_heap])
    casts = size(:casts)
    each = div(casts, senders)
    start = now()
    at_once(senders, fn -> feed(server, 0, each) end)
    handled(server, senders * sum_below(each))
    [millions_per_second(start, casts)]
  end

  defp handled(server, total) do
    case GenServer.call(server, {:add, 0}, :infinity) do
      ^total -> :ok
      less when less < total -> handled(server, total)
      more -> equal("total", more, total)
    end
  end

  # The scheduler takes the turn away from a sender; it need not give way itself.
  defp feed(_server, count, count), do: :ok

  defp feed(server, i, count) do
    GenServer.cast(server, {:feed, i})
    feed(server, i + 1, count)
  end

  # The token counts down, one per hop; whoever gets zero reports its own place in the ring.
  defp node(place, next, client) do
    receive do
      {:token, 0} -> send(client, {:last, place})
      {:token, left} -> send(next, {:token, left - 1})
    end

    node(place, next, client)
  end

  defp tree(first, 1, _branches, above), do: send(above, {:sum, first})

  defp tree(first, leaves, branches, above) do
    {me, below} = {self(), div(leaves, branches)}
    for i <- 0..(branches - 1), do: spawn(fn -> tree(first + i * below, below, branches, me) end)
    send(above, {:sum, sums(branches, 0)})
  end

  defp sums(0, sum), do: sum

  defp sums(missing, sum) do
    receive do
      {:sum, part} -> sums(missing - 1, sum + part)
    end
  end

  # The same shared counter as in the other systems; its last count wakes the client.
  defp spawn_exit do
    {spawns, batch, client} = {size(:spawns), size(:spawn_batch), self()}
    ended = :atomics.new(1, [])

    end_at_once = fn ->
      if rem(:atomics.add_get(ended, 1, 1), batch) == 0, do: send(client, :all_ended)
    end

    start = now()

    times(div(spawns, batch), fn ->
      times(batch, fn -> spawn(end_at_once) end)

      receive do
        :all_ended -> :ok
      end
    end)

    figure = ns_each(start, spawns)
    equal("processes ended", :atomics.get(ended, 1), spawns)
    [figure]
  end

  defp spawn_holder(state) do
    spawn(fn ->
      receive do
        {:stop, by, client} -> send(client, {:stopped, state + by})
      end
    end)
  end

  defp spawn_all(spawn) do
    count = size(:idle)
    start = now()
    pids = for i <- 0..(count - 1), do: spawn.(i)
    {pids, ns_each(start, count)}
  end

  defp stop_all(pids, stop) do
    {count, client} = {size(:idle), self()}
    start = now()
    # The answers go to another process, which adds them up meanwhile.
    adder = spawn(fn -> send(client, {:held, add_stopped(count, 0)}) end)
    for pid <- pids, do: stop.(pid, adder)

    receive do
      {:held, held} ->
        each = ns_each(start, count)
        equal("state of all", held, sum_below(count) + count)
        each
    end
  end

  defp add_stopped(0, held), do: held

  defp add_stopped(left, held) do
    receive do
      {:stopped, state} -> add_stopped(left - 1, held + state)
    end
  end

  defp idle(spawn, stop) do
    before = memory("VmRSS:")
    {pids, spawning} = spawn_all(spawn)
    Process.sleep(size(:settle_ms))
    bytes = (memory("VmRSS:") - before) / size(:idle)
    [spawning, bytes, stop_all(pids, stop)]
  end

  defp sleep_until(due) do
    left = due - now()
    # Rounded up, as the other systems' timers do.
    if left > 0, do: Process.sleep(div(left + 999_999, 1_000_000))
  end

  defp compute(start, time, x) do
    if now() - start < time, do: compute(start, time, step(10_000, x))
  end

  defp step(0, x), do: x
  defp step(left, x), do: step(left - 1, rem(x * 31 + 7, 4_294_967_296))

  defp crashes(server, count, count), do: server

  defp crashes(server, i, count) do
    GenServer.cast(server, :crash)

    receive do
      {:up, pid} ->
        equal("reply", GenServer.call(pid, {:add, i}), i)
        crashes(pid, i + 1, count)
    end
  end

  defp start_children(count) do
    {:ok, supervisor} = DynamicSupervisor.start_link(strategy: :one_for_one)
    start = now()

    pids =
      for number <- 0..(count - 1) do
        {:ok, pid} = DynamicSupervisor.start_child(supervisor, {Child, number})
        pid
      end

    starting = ns_each(start, count)
    equal("children", DynamicSupervisor.count_children(supervisor).active, count)
    {supervisor, pids, starting}
  end

  # A duplicate registry is what Elixir advises for local publishing, and what Phoenix.PubSub stands on.
  defp broadcasts(count, between) do
    {subscribers, client} = {size(:subscribers), self()}
    {:ok, _} = Registry.start_link(keys: :duplicate, name: Topics)
    # What all have received, and who has come so far.
    counters = :atomics.new(2, [])

    for _ <- 1..subscribers do
      spawn_link(fn ->
        {:ok, _} = Registry.register(Topics, "news", [])
        if last?(counters, 2, subscribers), do: send(client, :subscribed)
        :atomics.add(counters, 1, numbers(count, 0))
        if last?(counters, 2, 2 * subscribers), do: send(client, :received)
      end)
    end

    all_have(:subscribed)
    start = now()

    for number <- 0..(count - 1) do
      Registry.dispatch(Topics, "news", fn entries ->
        for {pid, _} <- entries, do: send(pid, {:news, number})
      end)

      between.()
    end

    all_have(:received)
    figure = millions_per_second(start, subscribers * count)
    equal("sum of all", :atomics.get(counters, 1), subscribers * sum_below(count))
    figure
  end

  defp numbers(0, sum), do: sum

  defp numbers(left, sum) do
    receive do
      {:news, number} -> numbers(left - 1, sum + number)
    end
  end

  defp registered(key, count, counters, client) do
    start = now()
    {:ok, _} = Registry.register(Names, key, nil)
    :atomics.add(counters, 1, now() - start)
    if last?(counters, 3, count), do: send(client, :registered)

    receive do
      :leave -> :ok
    end

    start = now()
    :ok = Registry.unregister(Names, key)
    :atomics.add(counters, 2, now() - start)
    if last?(counters, 3, count), do: send(client, :unregistered)
  end

  defp found(_random, 0, _count, found), do: found

  defp found(random, left, count, found) do
    {number, random} = :rand.uniform_s(count, random)

    case Registry.whereis_name({Names, number - 1}) do
      :undefined -> found(random, left - 1, count, found)
      _pid -> found(random, left - 1, count, found + 1)
    end
  end

  # As `at_once`; each is told its number, from 1 on.
  defp by_all(count, work) do
    numbers = :atomics.new(1, [])
    at_once(count, fn -> work.(:atomics.add_get(numbers, 1, 1)) end)
  end

  # The next number of a sequence without a pattern that a look-up does not disappear behind: what `:rand` does takes as long as one.
  defp next_random(state), do: rem(state * 48_271, 2_147_483_647)

  defp looked_up(_table, _state, 0, _keys, found), do: found

  defp looked_up(table, state, left, keys, found) do
    state = next_random(state)
    key = rem(state, keys)

    case :ets.lookup(table, key) do
      [{^key, ^key}] -> looked_up(table, state, left - 1, keys, found + 1)
      _ -> looked_up(table, state, left - 1, keys, found)
    end
  end

  defp read_and_written(_table, _state, 0, _keys, _every, done), do: done

  defp read_and_written(table, state, left, keys, every, done) when rem(left, every) == 0 do
    state = next_random(state)
    key = rem(state, keys)
    true = :ets.insert(table, {key, key})
    read_and_written(table, state, left - 1, keys, every, done + 1)
  end

  defp read_and_written(table, state, left, keys, every, done) do
    state = next_random(state)
    key = rem(state, keys)

    case :ets.lookup(table, key) do
      [{^key, ^key}] -> read_and_written(table, state, left - 1, keys, every, done + 1)
      _ -> read_and_written(table, state, left - 1, keys, every, done)
    end
  end

  defp inserted(_table, key, count, _step) when key >= count, do: :ok

  defp inserted(table, key, count, step) do
    true = :ets.insert(table, {key, key})
    inserted(table, key + step, count, step)
  end

  defp ranges(_table, _state, 0, _firsts, _range, sum, expected), do: {sum, expected}

  defp ranges(table, state, left, firsts, range, sum, expected) do
    state = next_random(state)
    first = rem(state, firsts)
    # A match specification with bounds would look at the whole table.
    sum = sum + range(table, first, range, 0)
    ranges(table, state, left - 1, firsts, range, sum, expected + first * range + sum_below(range))
  end

  defp range(_table, _key, 0, sum), do: sum

  defp range(table, key, left, sum) do
    [{_key, value}] = :ets.lookup(table, key)
    range(table, :ets.next(table, key), left - 1, sum + value)
  end

  # Counts one more; is it the last?
  defp last?(counters, at, count), do: :atomics.add_get(counters, at, 1) == count

  defp all_have(what) do
    receive do
      ^what -> :ok
    end
  end

  # Bytes from this BEAM's own entry in Linux's /proc.
  defp memory(name) do
    line = "/proc/self/status" |> File.read!() |> String.split("\n") |> Enum.find(&String.starts_with?(&1, name))
    [_name, kilobytes, "kB"] = String.split(line)
    String.to_integer(kilobytes) * 1024
  end

  # The CPU time of all threads of this BEAM; Linux counts it in hundredths of a second.
  defp cpu_ns do
    fields = "/proc/self/stat" |> File.read!() |> String.split(") ") |> List.last() |> String.split(" ")
    ticks = String.to_integer(Enum.at(fields, 11)) + String.to_integer(Enum.at(fields, 12))
    ticks * 10_000_000
  end
end
