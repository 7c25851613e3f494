//! The macros of [ibeam](https://docs.rs/ibeam): `receive!`, `#[gen_server]`, `#[ibeam::main]` and those of the testkit.
//!
//! Use them through `ibeam`, which re-exports them: what they write refers to `::ibeam`.
//!
//! # Map
//! | module | what it is for |
//! |---|---|
//! | `receive.rs` | [`receive!`](macro@receive) |
//! | `gen_server/` | [`#[gen_server]`](macro@gen_server) with [`#[call]`](macro@call), [`#[cast]`](macro@cast), [`#[info]`](macro@info) |
//! | `main_attr.rs` | [`#[ibeam::main]`](macro@main) |
//! | `test_attr.rs` | [`#[ibeam::test]`](macro@test), [`#[ibeam::simulate]`](macro@simulate) |
//! | `assert.rs` | [`assert_receive!`](macro@assert_receive) and its siblings |
//! | `bindings.rs` | which names a pattern binds |
//! | `errors.rs` | collects errors |
//!
//! # Invariants
//! 1. An expansion names items by `::ibeam::..`, `::ibeam_testkit::..`, `::core::..` or `::std::..` only: what the user has
//!    in scope changes nothing.
//! 2. Each expansion is a function from tokens to tokens, tested without a compiler; this file only hands them through.
//! 3. Every error points at the tokens it speaks of.

use proc_macro::TokenStream;

mod assert;
mod bindings;
mod errors;
mod gen_server;
mod main_attr;
mod receive;
mod test_attr;

/// Takes the first message that matches an arm out of the process' mailbox, waiting for one if there is none.
///
/// What matches no arm stays in the mailbox, in its order, for a later `receive!`. It reads like a `match` whose arms
/// may be of different types, and is an expression with the value of the chosen arm.
///
/// ```
/// use ibeam::prelude::*;
/// use std::time::Duration;
///
/// struct Greet(String);
///
/// async fn next(patient: bool) -> String {
///     receive! {
///         Greet(name)                     => format!("hello, {name}"),
///         Down { reason, .. } if patient  => format!("gone: {reason}"),
///         n: u64 if n > 5                 => format!("a large number: {n}"),
///         "ping"                          => "pong".to_owned(),
///         after Duration::from_millis(1)  => "nobody came".to_owned(),
///     }
/// }
///
/// # Runtime::new().block_on(async {
/// let me = process::self_pid();
/// me.send(3_u64); // fits no arm, and stays
/// me.send(30_u64);
/// me.send(Greet("Joe".into()));
/// assert_eq!(next(true).await, "a large number: 30");
/// assert_eq!(next(true).await, "hello, Joe");
/// assert_eq!(next(true).await, "nobody came");
/// assert_eq!(receive! { n: u64 => n }, 3);
/// # });
/// ```
///
/// # Arms
/// | arm | takes |
/// |---|---|
/// | `Greet(name)`, `Down { reason, .. }`, `Tick`, `Command::Get(key)` | messages of the pattern's type that match it |
/// | `n: u64`, `Some(x): Option<u8>`, `[a, b]: [u8; 2]`, `_: Tick` | messages of the type that match the pattern |
/// | `"ping"`, `1..=9`, `'x'` | messages of the literal's type: `&'static str`, `i32` (without a suffix), `char` |
/// | `message`, `_` | every message; the name is bound to the `Message` |
/// | `after time` | nothing: this arm runs when `time` is up (last, at most once) |
///
/// - The type is taken from the pattern. Where it does not show, as in slices, tuples of names or a generic type, write
///   it: `pattern: Type`.
/// - Arms are tried from the top for each message, and messages in the order of their arrival.
/// - A name that begins with a lower-case letter or `_` is bound; an upper-case one is a constant or a unit struct.
/// - Bindings are by value (the message is handed over): there is no `ref`. A field that is not bound is dropped.
/// - A guard sees the bindings and may borrow the function's variables, also mutably. It runs for every message that
///   matches the pattern, so it should be quick; it can neither wait nor return. If the future has to be `Send`, as with
///   `spawn`, what it borrows has to be `Sync`.
/// - A body may do whatever the surrounding function may: `.await`, `?`, `return`, `break`.
/// - Commas may be left out behind blocks. `#[cfg]` and lint attributes may stand before an arm.
/// - `since` and `after` are words of the macro at the start of an arm, and no names for a binding there.
///
/// # Skipping old messages
/// A process with a long mailbox that waits for the answer to a request it has just made need not look at what came
/// before it. With `since reference;` as the first line, messages that arrived before the reference was made are skipped:
///
/// ```
/// # use ibeam::prelude::*;
/// struct Query { reference: Reference, from: Pid }
/// struct Answer { reference: Reference, value: u64 }
///
/// # Runtime::new().block_on(async {
/// # let server = process::spawn(async {
/// #     receive! { Query { reference, from } => from.send(Answer { reference, value: 42 }) }
/// # });
/// let reference = process::make_ref();
/// server.send(Query { reference, from: process::self_pid() });
/// let answer = receive! {
///     since reference;
///     Answer { reference: to, value } if to == reference => value,
/// };
/// assert_eq!(answer, 42);
/// # });
/// ```
///
/// # After
/// `after` takes whatever is `Into<Timeout>`: a `Duration`, or `Timeout::Infinity`. A zero duration looks through the
/// mailbox once and does not wait. `receive! { after time => {} }` alone waits and takes nothing.
///
/// # Panics
/// Outside of a process, which has no mailbox.
///
/// # Cancel safety
/// Yes: a message is taken when an arm was chosen, and the future is then complete. Dropping it earlier leaves the
/// mailbox as it was.
///
/// # Erlang/OTP
/// `receive … after … end`. Differs: an arm takes messages of one type, where Erlang's patterns take any term; `since`
/// says what the BEAM's compiler finds out by itself.
#[proc_macro]
pub fn receive(input: TokenStream) -> TokenStream {
    receive::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a GenServer of a type: its impl block's functions become the server's calls, casts and callbacks.
///
/// ```
/// use ibeam::prelude::*;
///
/// pub struct Counter { value: i64 }
/// pub struct Tick;
///
/// #[gen_server]
/// impl Counter {
///     async fn init(start: i64) -> Init<Self> { Init::ok(Counter { value: start }) }
///
///     /// Adds `by` and returns the new value.
///     #[call]
///     async fn increment(&mut self, by: i64) -> i64 {
///         self.value += by;
///         self.value
///     }
///
///     #[cast]
///     async fn reset(&mut self) { self.value = 0 }
///
///     #[info]
///     async fn tick(&mut self, _: Tick) -> Next {
///         self.value += 1;
///         Next::hibernate()
///     }
/// }
///
/// #[ibeam::main]
/// async fn main() -> Result<(), ExitReason> {
///     let counter = Counter::start_link(0).name("counter").await?;
///     assert_eq!(counter.increment(2).await?, 2);
///     counter.reset();
///     counter.send(Tick);
///     assert_eq!(counter.increment(1).await?, 2);
///     Ok(())
/// }
/// ```
///
/// # The block's functions
/// All of them may be `async fn` or plain `fn`: what waits for nothing is better a plain one, which has no state to be kept, and
/// whose panic is unwound faster. They stay as they are, so a test may call them without a process.
///
/// | function | is |
/// |---|---|
/// | `fn init(args ..) -> Init<Self>` | required; its arguments are those of `start` and `start_link` |
/// | `#[call] fn name(&mut self, args ..) -> R` | answered with what it returns |
/// | `#[call] fn name(&mut self, args .., from: CallFrom<R>) -> Reply<R>` | answered now or later; with or without `from` |
/// | `#[cast] fn name(&mut self, args ..)`, or `-> Next` | a request without an answer |
/// | `#[info] fn name(&mut self, message: T)`, or `-> Next` | takes the plain messages of type `T` |
/// | `fn handle_info(&mut self, message: Message)`, or `-> Next` | optional; takes every other message |
/// | `fn handle_timeout(&mut self)`, or `-> Next` | optional; no message came in the time that was asked for |
/// | `fn handle_continue(&mut self, step: Continue)`, or `-> Next` | optional; runs before the next message |
/// | `fn terminate(&mut self, reason: &ExitReason)` | optional; the server ends |
/// | `fn format_status(&self, status: &mut ServerStatus)` | optional, not async; what reports show |
/// | any other | the type's own; `start` or `start_link` among them replaces the generated one |
///
/// - `Reply<R>`, `CallFrom<R>` and `Next` are told by their last name, so `ibeam::Reply<R>` is fine and an alias is not.
/// - Arguments and replies are sent between processes: they are owned (`String`, not `&str`), `Send` and have a name
///   (no `impl Trait`).
/// - `&self` instead of `&mut self` is possible; in an `async fn` it asks for `Self: Sync`.
/// - `#[cfg]` may stand on every function but `init`; docs and `#[deprecated]` go to the client's method too.
/// - The impl block may have type and const parameters. They must be `Send + 'static`, and so must the server.
///
/// # What is generated
/// - `GenServer`, `HandleCall`, `HandleCast` and `HandleInfo` for the type. Requests of your own may be added by hand.
/// - `Counter::start(..)` and `Counter::start_link(..)` with `init`'s arguments, which return a builder to `.await`.
///   `GenServer::Args` is `()`, the one argument, or the tuple of them.
/// - The client trait `CounterClient`, for `ServerRef<Counter>`: a call's method returns a `Call` to `.await` (or to
///   give a `.timeout(..)` first), a cast's method returns nothing. Import the trait where it is used. A method with
///   the name of one of `ServerRef`'s own has to be called as `CounterClient::name(&server)`.
///
/// # Options
/// - `#[gen_server(client = Name)]`: the client trait's name.
/// - `#[gen_server(client = pub(crate) Name)]`: also its visibility and that of `start` and `start_link`. It is `pub`
///   by default: the macro cannot see the type's own.
///
/// # Erlang/OTP
/// A callback module of `gen_server` with its API functions. Differs: requests are typed, each has its own function, and
/// the client's functions are written for you.
#[proc_macro_attribute]
pub fn gen_server(options: TokenStream, item: TokenStream) -> TokenStream {
    gen_server::expand(options.into(), item.into()).into()
}

/// Marks a function of a [`#[gen_server]`](macro@gen_server) block as a call: a request with an answer.
///
/// `#[gen_server]` reads it, so it need not be imported. Anywhere else it is an error.
#[proc_macro_attribute]
pub fn call(_: TokenStream, item: TokenStream) -> TokenStream {
    misplaced("call", item)
}

/// Marks a function of a [`#[gen_server]`](macro@gen_server) block as a cast: a request without an answer.
///
/// `#[gen_server]` reads it, so it need not be imported. Anywhere else it is an error.
#[proc_macro_attribute]
pub fn cast(_: TokenStream, item: TokenStream) -> TokenStream {
    misplaced("cast", item)
}

/// Marks a function of a [`#[gen_server]`](macro@gen_server) block as the receiver of one type of plain messages.
///
/// `#[gen_server]` reads it, so it need not be imported. Anywhere else it is an error.
#[proc_macro_attribute]
pub fn info(_: TokenStream, item: TokenStream) -> TokenStream {
    misplaced("info", item)
}

fn misplaced(mark: &str, item: TokenStream) -> TokenStream {
    gen_server::misplaced(mark, item.into()).into()
}

/// Runs an `async fn main` as a process, in a runtime of its own.
///
/// ```
/// use ibeam::prelude::*;
///
/// #[ibeam::main]
/// async fn main() -> Result<(), ExitReason> {
///     let (_pid, monitor) = process::spawn_monitor(async { process::exit(ExitReason::Shutdown) });
///     let reason = receive! { Down { monitor: m, reason, .. } if m == monitor => reason };
///     assert_eq!(reason, ExitReason::Shutdown);
///     Ok(())
/// }
/// ```
///
/// The function may link, monitor and receive. When it returns, the runtime is shut down in order, and the program ends
/// with success if the function's result means a normal exit (`()`, `Ok(())`, `ExitReason::Normal` or `Shutdown`).
///
/// Inside an existing tokio program keep `#[tokio::main]`: the runtime starts on first use.
///
/// # Options
/// - `workers = N`: the number of worker threads, an expression of type `usize`, at least 1. Default: as the runtime's
///   builder has it.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    main_attr::expand(options.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an `async fn` a test that runs as a process: it can link, monitor and receive, and has a runtime, and so names, of
/// its own. Everything started in it is stopped when it is over.
///
/// Needs the crate `ibeam-testkit` among the dev-dependencies, whose documentation has the whole story.
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam_testkit::prelude::*;
///
/// # // A doc-test is a program: what would be a test function is called from `main`.
/// # mod tests { use super::*;
/// #[ibeam::test]
/// async fn a_crash_is_a_message() {
///     let (_pid, monitor) = process::spawn_monitor(async { process::exit(ExitReason::Shutdown) });
///     assert_receive!(Down { monitor: m, reason: ExitReason::Shutdown, .. } if m == monitor);
/// }
/// # }
/// # fn main() {}
/// ```
///
/// The test passes if its function returns (`()`, `Ok`), and fails if it panics, exits, returns an error, or is ended by the
/// crash of a process that it is linked to. The failure has the exit reason, and what the test's processes have logged.
///
/// # Options
/// | option | means | default |
/// |---|---|---|
/// | `threads`, `inline`, `paused`, `sim`, `every` | what runs it: see `ibeam_testkit::Driver` | `threads` |
/// | `workers = N` | worker threads | 2 |
/// | `timeout = D` | how long it may take, on the clock that it sees | 60 s; with a virtual clock 24 h |
/// | `seeds = A..B` | the seeds, with `sim` and `every` | `0..20` |
/// | `log_level = L` | what is kept of its log, to be shown if it fails | `Level::INFO` |
///
/// # Erlang/OTP
/// `test` of ExUnit.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    test_attr::expand(test_attr::Kind::Test, options.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes an `async fn` a test that is run in a simulation, once per seed: on a virtual clock, with an order of processes
/// that the seed chooses, and with the faults that are asked for.
///
/// Needs the crate `ibeam-testkit` among the dev-dependencies, whose documentation has the whole story.
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam_testkit::prelude::*;
/// use std::time::Duration;
///
/// # mod tests { use super::*;
/// #[ibeam::simulate(seeds = 0..100, faults = Faults::none().delay(Duration::from_millis(20)))]
/// async fn replies_come_back() {
///     let server = process::spawn(async {
///         loop {
///             receive! { (n, from): (u64, Pid) => from.send(n + 1) }
///         }
///     });
///     server.send((41_u64, process::self_pid()));
///     assert_receive!(42_u64);
/// }
/// # }
/// # fn main() {}
/// ```
///
/// A failure names the seed, has the last events of the run, and the command that makes the same run again.
/// `IBEAM_SEED=17` runs one seed only, `IBEAM_SEEDS=100000` runs that many.
///
/// # Options
/// | option | means | default |
/// |---|---|---|
/// | `seeds = A..B` | the seeds | `0..20` |
/// | `schedule = S` | who goes next: see `ibeam_testkit::Schedule` | `Schedule::Mixed` |
/// | `faults = F` | what goes wrong: see `ibeam_testkit::Faults` | nothing |
/// | `max_steps = N` | after how many steps a run counts as one that never ends | 1,000,000 |
/// | `max_time = D` | the same in virtual time | 24 h |
/// | `log_level = L` | what is kept of the log, to be shown if it fails | `Level::INFO` |
/// | `trace_len = N` | how many of the last events a failure shows | 60 |
#[proc_macro_attribute]
pub fn simulate(options: TokenStream, item: TokenStream) -> TokenStream {
    test_attr::expand(test_attr::Kind::Simulate, options.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Waits for a message that matches, and fails the test if none comes.
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam_testkit::prelude::*;
/// use std::time::Duration;
///
/// struct Greet(String);
///
/// Test::check(async {
///     process::self_pid().send(Greet("Joe".into()));
///     process::self_pid().send(7_u64);
///     let name = assert_receive!(Greet(name) if name.len() == 3);
///     assert_eq!(name, "Joe");
///     assert_receive!(n: u64 if n > 5, within: Duration::from_secs(1), "no number for {name}");
/// });
/// ```
///
/// Its value is what the pattern binds: nothing, the one value, or a tuple of them in their order. The patterns and guards
/// are those of [`receive!`](macro@receive). What does not match stays in the mailbox.
///
/// - `within: D` is how long it waits. Default: 100 ms.
/// - A text behind that, as for `assert!`, goes before the failure, which shows the pattern, the guard's variables and the
///   mailbox.
///
/// # Panics
/// If no message matches in time, and outside of a process.
///
/// # Erlang/OTP
/// `assert_receive/3` of ExUnit. Differs: there a failure's mailbox has at most ten messages, and values are shown; here messages
/// are shown by their types, and by their values if the testkit knows how (`ibeam_testkit::show`).
#[proc_macro]
pub fn assert_receive(input: TokenStream) -> TokenStream {
    expand_assert(assert::Assert::Receive, input)
}

/// Takes a message that matches and is there already, and fails the test if there is none. Otherwise as
/// [`assert_receive!`](macro@assert_receive), without `within`.
///
/// # Panics
/// If no message matches, and outside of a process.
///
/// # Erlang/OTP
/// `assert_received/2` of ExUnit.
#[proc_macro]
pub fn assert_received(input: TokenStream) -> TokenStream {
    expand_assert(assert::Assert::Received, input)
}

/// Waits, and fails the test if a message comes that matches. Otherwise as [`assert_receive!`](macro@assert_receive); it has no
/// value.
///
/// # Panics
/// If a message matches, which is shown, and outside of a process.
///
/// # Erlang/OTP
/// `refute_receive/3` of ExUnit.
#[proc_macro]
pub fn refute_receive(input: TokenStream) -> TokenStream {
    expand_assert(assert::Assert::RefuteReceive, input)
}

/// Fails the test if a message is there that matches. Otherwise as [`refute_receive!`](macro@refute_receive), without `within`.
///
/// # Panics
/// If a message matches, which is shown, and outside of a process.
///
/// # Erlang/OTP
/// `refute_received/2` of ExUnit.
#[proc_macro]
pub fn refute_received(input: TokenStream) -> TokenStream {
    expand_assert(assert::Assert::RefuteReceived, input)
}

fn expand_assert(assert: assert::Assert, input: TokenStream) -> TokenStream {
    assert::expand(assert, input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
