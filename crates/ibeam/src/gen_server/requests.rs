//! Requests whose responses are taken later: one by one, or collected in a set.
//!
//! A response is announced by a [`Response`] in the mailbox of who asked, in its place among the other messages. So a process can wait for
//! several of them, and for anything else, in one receive.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ibeam_runtime::__private::{Meta, flush_message};
use ibeam_runtime::process::{self, receive_with};
use ibeam_runtime::{Alias, AliasMode, CallError, Destination, Instant, Message, Reference, Timeout};

/// The message that says that a request has its response, to be taken with
/// [`check_response`](RequestId::check_response).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Response {
    request: Reference,
}

type Answer<R> = Pin<Box<dyn Future<Output = Result<R, CallError>> + Send>>;

/// Sends the request of a call at once. The response is taken with the methods of what this returns; until then the calling process does
/// whatever it likes.
///
/// The call's own timeout does not count. Where a mailbox is full and its policy is to wait, the request is sent when its
/// response is waited for.
///
/// ```
/// use ibeam::gen_server::send_request;
/// use ibeam::prelude::*;
/// use std::time::Duration;
///
/// struct Doubler;
///
/// #[gen_server]
/// impl Doubler {
///     fn init() -> Init<Self> {
///         Init::ok(Doubler)
///     }
///     #[call]
///     fn double(&mut self, number: u64) -> u64 {
///         number * 2
///     }
/// }
///
/// Runtime::new().block_on(async {
///     let doubler = Doubler::start().await.unwrap();
///     let first = send_request(doubler.double(1));
///     let second = send_request(doubler.double(2));
///     assert_eq!(second.receive_response(Duration::from_secs(5)).await, Ok(4));
///     assert_eq!(first.receive_response(Duration::from_secs(5)).await, Ok(2));
/// });
/// ```
///
/// # Panics
/// Outside of a process, which has no mailbox for the response.
///
/// # Erlang/OTP
/// `gen_server:send_request/2`.
#[track_caller]
pub fn send_request<Q, R, X>(call: process::Call<Q, R, X>) -> RequestId<R>
where
    Q: Send + 'static,
    R: Send + 'static,
    X: Meta,
{
    let destination = call.destination().clone();
    let alias = process::alias(AliasMode::Explicit);
    let waker = Waker::from(Arc::new(Announce(alias)));
    let mut answer: Answer<R> = Box::pin(call.timeout(Timeout::Infinity));
    // Sends it. What is there at once has been announced to nobody yet.
    let early = match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(early) => {
            waker.wake_by_ref();
            Some(early)
        }
        Poll::Pending => None,
    };
    RequestId { destination, alias, waker, answer, early, taken: false }
}

/// Puts a [`Response`] into the mailbox of who asked.
struct Announce(Alias);

impl Wake for Announce {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.send(Response { request: self.0.reference() });
    }
}

/// A request that was sent, and whose response is still to be taken. Dropped, the response is dropped too.
///
/// # Erlang/OTP
/// `gen_server:request_id()`. Differs: it can be used up only once, which the compiler sees to.
#[must_use = "dropping it drops the response"]
pub struct RequestId<R> {
    destination: Destination,
    alias: Alias,
    waker: Waker,
    answer: Answer<R>,
    early: Option<Result<R, CallError>>,
    taken: bool,
}

impl<R> RequestId<R> {
    /// The reference that its [`Response`] carries.
    #[must_use]
    pub fn reference(&self) -> Reference {
        self.alias.reference()
    }

    /// Waits for the response, and gives the request up after `timeout`: a response that comes later is dropped.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Erlang/OTP
    /// `gen_server:receive_response/2`.
    pub async fn receive_response(mut self, timeout: impl Into<Timeout>) -> Result<R, CallError> {
        let timeout = timeout.into();
        if let Some(response) = self.wait_response(timeout).await {
            return response;
        }
        let after = if let Timeout::After(after) = timeout { after } else { Duration::MAX };
        Err(match self.destination.resolve() {
            Some(pid) => CallError::Timeout { pid, after },
            None => CallError::NoProc { destination: self.destination.clone() },
        })
    }

    /// Waits for the response no longer than `timeout`; `None`: it has not come yet, and can be waited for again.
    ///
    /// # Erlang/OTP
    /// `gen_server:wait_response/2`.
    pub async fn wait_response(&mut self, timeout: impl Into<Timeout>) -> Option<Result<R, CallError>> {
        let request = self.reference();
        let deadline = Deadline::after(timeout.into());
        loop {
            let is_it = |response: Response| if response.request == request { Ok(()) } else { Err(response) };
            receive_with(|message| message.arm(is_it)).since(request).after(deadline.left()).await?;
            if let Some(response) = self.take() {
                return Some(response);
            }
        }
    }

    /// Is this message its response? Then this is it; other messages come back.
    ///
    /// # Errors
    /// The message, if it is another one.
    ///
    /// # Erlang/OTP
    /// `gen_server:check_response/2`.
    pub fn check_response(&mut self, message: Message) -> Result<Result<R, CallError>, Message> {
        match message.downcast::<Response>() {
            Ok(response) if response.request == self.reference() => {
                self.take().ok_or_else(|| Message::from_value(response))
            }
            Ok(response) => Err(Message::from_value(response)),
            Err(message) => Err(message),
        }
    }

    /// The response, which has been announced. `None`: it was only that the request could be sent now, or that the process
    /// is about to end; there will be another announcement, or no need for one.
    fn take(&mut self) -> Option<Result<R, CallError>> {
        let response = match self.early.take() {
            Some(early) => Some(early),
            None => match self.answer.as_mut().poll(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(answer) => Some(answer),
                Poll::Pending => None,
            },
        };
        self.taken = response.is_some();
        response
    }
}

impl<R> Drop for RequestId<R> {
    fn drop(&mut self) {
        if process::try_self_pid() == Some(self.alias.pid()) {
            process::unalias(self.alias);
            if !self.taken {
                // It may have been announced already.
                let request = self.reference();
                flush_message(request, |response: &Response| response.request == request);
            }
        }
    }
}

impl<R> fmt::Debug for RequestId<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({})", self.reference())
    }
}

/// Until when something is waited for.
enum Deadline {
    At(Instant),
    Never,
}

impl Deadline {
    fn after(timeout: Timeout) -> Self {
        match timeout {
            Timeout::After(after) => Self::At(process::now() + after),
            Timeout::Infinity => Self::Never,
        }
    }

    fn left(&self) -> Timeout {
        match self {
            Self::At(at) => Timeout::After(*at - process::now()),
            Self::Never => Timeout::Infinity,
        }
    }
}

/// What came for a set of requests.
///
/// # Erlang/OTP
/// `{Response, Label, NewReqIdCollection}`, `timeout`, `no_reply`, `no_request`.
#[derive(Debug)]
pub enum Collected<L, R> {
    /// One of them has its response, and has left the set.
    Response {
        /// What it was added with.
        label: L,
        /// The reply, or why there is none.
        response: Result<R, CallError>,
    },
    /// None of them, in time.
    Timeout,
    /// The message is no response to any of them; here it is.
    NoReply(Message),
    /// The set is empty. The message that was to be checked, if there was one.
    NoRequest(Option<Message>),
}

/// A set of requests that were sent, each with a label.
///
/// ```
/// use ibeam::gen_server::{Collected, RequestIds, send_request};
/// use ibeam::prelude::*;
///
/// struct Doubler;
///
/// #[gen_server]
/// impl Doubler {
///     fn init() -> Init<Self> {
///         Init::ok(Doubler)
///     }
///     #[call]
///     fn double(&mut self, number: u64) -> u64 {
///         number * 2
///     }
/// }
///
/// Runtime::new().block_on(async {
///     let doubler = Doubler::start().await.unwrap();
///     let mut requests = RequestIds::new();
///     for number in [1, 2, 3] {
///         requests.add(send_request(doubler.double(number)), number);
///     }
///     while let Collected::Response { label, response } = requests.receive_response(Timeout::CALL).await {
///         assert_eq!(response, Ok(label * 2));
///     }
///     assert!(requests.is_empty());
/// });
/// ```
///
/// # Erlang/OTP
/// `gen_server:request_id_collection()`. Differs: a request whose response was taken leaves the set in any case, there is no
/// `Delete = false`; and none can be in it twice.
pub struct RequestIds<L, R> {
    requests: Vec<(RequestId<R>, L)>,
}

impl<L, R> RequestIds<L, R> {
    /// An empty set.
    ///
    /// # Erlang/OTP
    /// `gen_server:reqids_new/0`.
    #[must_use]
    pub fn new() -> Self {
        Self { requests: Vec::new() }
    }

    /// Adds a request.
    ///
    /// # Erlang/OTP
    /// `gen_server:reqids_add/3`.
    pub fn add(&mut self, request: RequestId<R>, label: L) {
        self.requests.push((request, label));
    }

    /// How many are in it.
    ///
    /// # Erlang/OTP
    /// `gen_server:reqids_size/1`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Is none in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Waits for the first response of any of them. After `timeout` all are given up, and the set is empty.
    ///
    /// # Erlang/OTP
    /// `gen_server:receive_response/3`.
    pub async fn receive_response(&mut self, timeout: impl Into<Timeout>) -> Collected<L, R> {
        let collected = self.wait_response(timeout).await;
        if let Collected::Timeout = collected {
            self.requests.clear();
        }
        collected
    }

    /// Waits for the first response of any of them, no longer than `timeout`.
    ///
    /// # Erlang/OTP
    /// `gen_server:wait_response/3`.
    pub async fn wait_response(&mut self, timeout: impl Into<Timeout>) -> Collected<L, R> {
        // The requests themselves cannot be shared between threads, as a future that borrows them would.
        let references: Vec<_> = self.requests.iter().map(|(request, _)| request.reference()).collect();
        let Some(&oldest) = references.first() else { return Collected::NoRequest(None) };
        let deadline = Deadline::after(timeout.into());
        loop {
            let which = |response: Response| {
                references.iter().position(|request| *request == response.request).ok_or(response)
            };
            let receive = receive_with(|message| message.arm(which)).since(oldest);
            let Some(at) = receive.after(deadline.left()).await else { return Collected::Timeout };
            if let Some(collected) = self.take(at) {
                return collected;
            }
        }
    }

    /// Is this message the response to one of them?
    ///
    /// # Erlang/OTP
    /// `gen_server:check_response/3`.
    pub fn check_response(&mut self, message: Message) -> Collected<L, R> {
        if self.requests.is_empty() {
            return Collected::NoRequest(Some(message));
        }
        match message.downcast::<Response>() {
            Ok(response) => match self.requests.iter().position(|(r, _)| r.reference() == response.request) {
                Some(at) => {
                    self.take(at).unwrap_or_else(|| Collected::NoReply(Message::from_value(response)))
                }
                None => Collected::NoReply(Message::from_value(response)),
            },
            Err(message) => Collected::NoReply(message),
        }
    }

    fn take(&mut self, at: usize) -> Option<Collected<L, R>> {
        let response = self.requests[at].0.take()?;
        let (_, label) = self.requests.remove(at);
        Some(Collected::Response { label, response })
    }
}

impl<L, R> Default for RequestIds<L, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: fmt::Debug, R> fmt::Debug for RequestIds<L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.requests.iter().map(|(request, label)| (label, request))).finish()
    }
}
