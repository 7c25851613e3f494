//! Probes: processes that stand where a GenServer is expected, and tell the test what they are asked.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use ibeam::gen_server::CallMeta;
use ibeam::{GenServer, HandleCall, HandleCast, HandleInfo, Message, Name, Pid, ServerRef, process};
use parking_lot::Mutex;

use crate::show::describe;

/// How many requests a probe remembers: the newest ones.
const REMEMBERED: usize = 10_000;

/// What a request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// A call, whose sender waits for a reply.
    Call,
    /// A cast, or a plain message.
    Message,
}

/// What the test gets for each request that a [`Probe`] gets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probed {
    /// The probe.
    pub probe: Pid,
    /// What it was.
    pub kind: RequestKind,
    /// The request, described: `call Counter::add`, `Tick`.
    pub request: String,
}

type Answer = Box<dyn FnMut(Message) -> Result<(), Message> + Send>;

/// A process that looks like a server `S` to those who use it. For each request, the process that has started it gets a
/// [`Probed`].
///
/// *Around* a real server it passes everything on, and the server's replies go to who has called. *In place of* one it answers
/// as it was told; a call for which it has no answer is dropped, so the caller gets [`NoReply`](ibeam::CallError::NoReply).
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam_testkit::prelude::*;
///
/// struct Counter(i64);
/// struct Add(i64);
///
/// #[gen_server]
/// impl Counter {
///     async fn init(start: i64) -> Init<Self> { Init::ok(Counter(start)) }
///     #[call]
///     async fn value(&mut self) -> i64 { self.0 }
/// }
/// impl HandleCall<Add> for Counter {
///     type Reply = i64;
///     async fn handle_call(&mut self, Add(by): Add, _from: CallFrom<i64>) -> Reply<i64> {
///         self.0 += by;
///         Reply::now(self.0)
///     }
/// }
///
/// Test::check(async {
///     let counter = start_supervised(Counter::child(40)).await.unwrap();
///     let probe = Probe::around(&counter).start();
///     assert_eq!(probe.server().call(Add(2)).await, Ok(42));
///     assert_eq!(probe.server().value().await, Ok(42));
///     assert_receive!(Probed { request, .. } if request == "call Add");
///     assert_eq!(probe.requests(), ["call Add", "call Counter::value"]);
///
///     let probe = Probe::<Counter>::in_place().answer(|Add(by)| by * 100).start();
///     assert_eq!(probe.server().call(Add(2)).await, Ok(200));
///     assert!(matches!(probe.server().value().await, Err(CallError::NoReply { .. })));
/// });
/// ```
///
/// Dropping it ends its process.
pub struct Probe<S> {
    pid: Pid,
    requests: Arc<Mutex<VecDeque<String>>>,
    _server: PhantomData<fn() -> S>,
}

/// A probe that is to be started: see [`Probe`].
#[must_use = "nothing is started before `start`"]
pub struct ProbeStart<S: GenServer> {
    around: Option<ServerRef<S>>,
    answers: Vec<Answer>,
    name: Option<Name>,
}

impl<S: GenServer> Probe<S> {
    /// A probe that passes everything on to `server`.
    pub fn around(server: &ServerRef<S>) -> ProbeStart<S> {
        ProbeStart { around: Some(server.clone()), answers: Vec::new(), name: None }
    }

    /// A probe in place of a server.
    pub fn in_place() -> ProbeStart<S> {
        ProbeStart { around: None, answers: Vec::new(), name: None }
    }

    /// What to give to those who are to use it.
    #[must_use]
    pub fn server(&self) -> ServerRef<S> {
        ServerRef::of(self.pid)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The requests so far, described, the oldest first; of more than 10,000 the newest.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().iter().cloned().collect()
    }
}

impl<S: GenServer> ProbeStart<S> {
    /// Answers the calls with a `Q` so, instead of passing them on or dropping them.
    pub fn answer<Q: Send + 'static>(mut self, mut answer: impl FnMut(Q) -> S::Reply + Send + 'static) -> Self
    where
        S: HandleCall<Q>,
    {
        self.answers.push(Box::new(move |message| {
            let (request, from) = message.take_call_as::<Q, S::Reply, CallMeta<S, Q>>()?;
            // Who has called may have stopped waiting.
            let _ = from.reply(answer(request));
            Ok(())
        }));
        self
    }

    /// Hands the casts with a `Q` to `take`, instead of passing them on.
    pub fn take_cast<Q: Send + 'static>(self, take: impl FnMut(Q) + Send + 'static) -> Self
    where
        S: HandleCast<Q>,
    {
        self.take(take)
    }

    /// Hands the plain messages of type `Q` to `take`, instead of passing them on.
    pub fn take_info<Q: Send + 'static>(self, take: impl FnMut(Q) + Send + 'static) -> Self
    where
        S: HandleInfo<Q>,
    {
        self.take(take)
    }

    fn take<Q: Send + 'static>(mut self, mut take: impl FnMut(Q) + Send + 'static) -> Self {
        self.answers.push(Box::new(move |message| message.downcast::<Q>().map(&mut take)));
        self
    }

    /// Registers it under a name, for code that finds its server so.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Starts it, linked to the calling process, which gets its [`Probed`].
    ///
    /// # Panics
    /// Outside of a process, and if the name is taken.
    #[track_caller]
    pub fn start(self) -> Probe<S> {
        let Self { around, mut answers, name } = self;
        let test = process::self_pid();
        let requests = Arc::new(Mutex::new(VecDeque::new()));
        let seen = Arc::clone(&requests);
        let mut spawn = process::builder().link().label(format!("probe of {}", std::any::type_name::<S>()));
        if let Some(name) = name {
            spawn = spawn.name(name);
        }
        let pid = spawn.spawn(async move {
            let me = process::self_pid();
            loop {
                let message = process::recv().await;
                let request = describe(&message);
                let kind = if message.is_call() { RequestKind::Call } else { RequestKind::Message };
                {
                    let mut seen = seen.lock();
                    if seen.len() == REMEMBERED {
                        seen.pop_front();
                    }
                    seen.push_back(request.clone());
                }
                test.send(Probed { probe: me, kind, request });
                let mut left = Some(message);
                for answer in &mut answers {
                    left = left.and_then(|message| answer(message).err());
                }
                if let Some(message) = left
                    && let Some(to) = around.as_ref().and_then(ServerRef::pid)
                {
                    message.forward(to);
                }
            }
        });
        Probe { pid, requests, _server: PhantomData }
    }
}

impl<S> Drop for Probe<S> {
    fn drop(&mut self) {
        // Linked to the test, which is not to end with it.
        if process::try_self_pid().is_some() {
            process::unlink(self.pid);
        }
        process::kill(self.pid);
    }
}

impl<S> fmt::Debug for Probe<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl<S: GenServer> fmt::Debug for ProbeStart<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeStart").field("around", &self.around).finish_non_exhaustive()
    }
}
