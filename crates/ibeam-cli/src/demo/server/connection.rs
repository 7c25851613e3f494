//! A connection's process: reads requests, has them done, writes the answers.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use ibeam::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::command::CrashTarget;
use super::super::info;
use super::super::plan::Plan;
use super::super::resp::{Decoder, ErrorReply, Output, Reply};
use super::super::session::{ClientInfo, Effect, Session};
use super::super::topics::{Change, Delivery};
use super::ask::{RESTART_LOOK, RESTART_PATIENCE, ask, ask_all};
use super::bus::Listener;
use super::context::Context;
use super::shard_server::ShardServerClient;
use super::{now_ms, walks};

/// How long a connection that we close waits for the client to close it as well. A socket that is closed while bytes lie in
/// it unread resets the connection, and what we wrote last may not reach the client.
const LINGER: Duration = Duration::from_millis(500);
/// How many reads of what a client has sent before the server stopped are still answered.
const LAST_READS: usize = 16;
/// How many messages are taken out of the mailbox before they are written.
const MESSAGES_AT_ONCE: usize = 256;

/// See the module.
///
/// While it waits for a request it is the future of [`serve`](Self::serve) and little more. So that this stays small for many
/// idle clients, what is rarely awaited is boxed, and the read buffer is borrowed ([`buffers`]).
pub(super) struct Connection {
    stream: TcpStream,
    input: BytesMut,
    decoder: Decoder,
    session: Session,
    plan: Plan,
    output: Output,
    /// What all connections share.
    context: Arc<Context>,
    /// What we listen to; `None` before the first subscription.
    listener: Option<Box<Listener>>,
    /// The bus, or the registry of clients, has crashed, and does not know us any more.
    unknown: bool,
    /// The last time that bytes went in or out.
    active: Instant,
}

/// Asks a connection for its line in CLIENT LIST.
pub(super) struct Describe;

/// Makes a connection crash.
pub(super) struct Crash;

/// Why a connection ends.
enum End {
    /// The client, or the server, is done: what is written goes out first.
    Close,
    /// The server stops: what has arrived is answered first.
    Stop,
    /// The socket is gone, or not worth a good-bye; or nobody would wait for one.
    Lost,
}

/// What a connection waited for.
enum Event {
    Message(Message),
    /// So many bytes have been read.
    Read(usize),
    /// There is room to write.
    Writable,
}

impl End {
    /// Our supervisor has been asked to stop, or is gone without a word.
    fn of_supervisor(reason: &ExitReason) -> Self {
        if *reason == ExitReason::Shutdown { Self::Stop } else { Self::Lost }
    }
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        // A client that goes away is no news.
        Self::Lost
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, id: u64, context: Arc<Context>) -> Self {
        let session = Session::new(id, peer.to_string(), context.address.to_string(), now_ms());
        Self {
            stream,
            input: BytesMut::new(),
            decoder: Decoder::new(context.options.limits()),
            session,
            plan: Plan::new(&context.settings.router),
            output: Output::default(),
            context,
            listener: None,
            unknown: false,
            active: Instant::now(),
        }
    }

    /// Serves the client until it or the server goes. Boxed, so that the future holds it once.
    pub(super) async fn serve(mut self: Box<Self>) {
        if let Err(error) = self.context.client_ids.register(self.session.id(), ()) {
            tracing::warn!("a client was dropped: {error}");
            return;
        }
        let ended = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        let patience = self.context.options.shutdown_timeout.0;
        match ended {
            End::Close => {
                let _done_or_too_slow = timeout(patience, Box::pin(self.finish())).await;
            }
            End::Stop => {
                if timeout(patience, Box::pin(self.answer_and_finish())).await.is_err() {
                    self.context.count_cut_off();
                }
            }
            End::Lost => {}
        }
    }

    /// Answers what has arrived before the server stopped.
    async fn answer_and_finish(&mut self) {
        for _ in 0..LAST_READS {
            self.decoder.make_room(&mut self.input);
            let more = matches!(self.stream.try_read_buf(&mut self.input), Ok(1..));
            if !more || self.do_requests().await.is_err() || self.is_behind() {
                break;
            }
        }
        self.finish().await;
    }

    /// Writes what is left, and says good-bye.
    async fn finish(&mut self) {
        let Self { stream, output, input, .. } = self;
        let good_bye = async {
            stream.write_all_buf(output).await?;
            stream.shutdown().await?;
            let end = async {
                loop {
                    input.clear();
                    if !matches!(stream.read_buf(input).await, Ok(1..)) {
                        break;
                    }
                }
            };
            let _gone_or_too_slow = timeout(LINGER, end).await;
            Ok::<_, io::Error>(())
        };
        // What is published meanwhile would pile up.
        let discard = async {
            loop {
                drop(process::recv().await);
            }
        };
        tokio::select! {
            biased;
            _ = good_bye => {}
            () = discard => {}
        }
    }

    /// Does what has arrived, writes what can be written, waits for more.
    async fn step(&mut self) -> Result<(), End> {
        if self.unknown {
            Box::pin(self.introduce()).await?;
        }
        let mut more = !self.is_behind();
        if more {
            more = self.do_requests().await?;
        }
        self.write()?;
        if more && !self.is_behind() {
            return Ok(());
        }
        let idle = self.context.options.idle_timeout.0;
        let event = if idle.is_zero() || self.session.is_subscribed() {
            self.wait().await?
        } else {
            match timeout_at(self.active + idle, self.wait()).await {
                Ok(event) => event?,
                Err(_) => return Err(End::Close),
            }
        };
        if !idle.is_zero() && !matches!(event, Event::Message(_)) {
            self.active = Instant::now();
        }
        match event {
            Event::Read(0) => Err(End::Close),
            Event::Read(_) | Event::Writable => Ok(()),
            Event::Message(message) => self.messages(message).await,
        }
    }

    /// Writes as much as the socket takes.
    fn write(&mut self) -> Result<(), End> {
        while self.output.has_remaining() {
            let mut slices = [io::IoSlice::new(&[]); 16];
            let count = self.output.chunks_vectored(&mut slices);
            let written = match count {
                1 => self.stream.try_write(&slices[0]),
                _ => self.stream.try_write_vectored(&slices[..count]),
            };
            match written {
                Ok(written) => self.output.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let limit = self.context.options.pubsub_buffer.0;
        if self.session.is_subscribed() && self.output.remaining() > limit {
            tracing::warn!(connection = self.session.id(), "a subscriber that does not read is disconnected");
            return Err(End::Lost);
        }
        Ok(())
    }

    /// Waits for a message, for bytes, which it reads, or for room to write.
    async fn wait(&mut self) -> Result<Event, End> {
        let wants_to_write = self.output.has_remaining();
        // Who does not read its replies is not read from: its requests wait in the socket, not in our memory.
        let wants_to_read = !self.is_behind();
        let Self { stream, input, decoder, .. } = self;
        let mut message = pin!(process::recv());
        poll_fn(|cx| {
            if let Poll::Ready(message) = message.as_mut().poll(cx) {
                return Poll::Ready(Ok(Event::Message(message)));
            }
            // Through `poll_read`, which knows after a short read that there is no more. `try_read` would ask the system
            // once more for each request.
            if wants_to_read {
                if input.capacity() == 0 {
                    *input = buffers::take();
                }
                decoder.make_room(input);
                if let Poll::Ready(read) = pin!(stream.read_buf(input)).poll(cx) {
                    return Poll::Ready(Ok(Event::Read(read?)));
                }
                if input.is_empty() && decoder.takes_any_input() {
                    buffers::give(std::mem::take(input));
                }
            }
            if wants_to_write {
                ready!(stream.poll_write_ready(cx))?;
                return Poll::Ready(Ok(Event::Writable));
            }
            Poll::Pending
        })
        .await
    }

    /// Does more wait for the client than should?
    fn is_behind(&self) -> bool {
        self.output.remaining() > self.context.options.output_buffer.0
    }

    /// Does the requests that have arrived completely. `true`: there may be more, which would make too much output at once.
    async fn do_requests(&mut self) -> Result<bool, End> {
        let mut commands = 0;
        // They have arrived together, so they have one time.
        let mut now = now_ms();
        let ended = loop {
            let effect = match self.decoder.decode(&mut self.input) {
                Ok(Some(args)) => {
                    commands += 1;
                    let settings = &self.context.settings;
                    self.session.handle(args, now, settings, &mut self.plan, &mut self.output)
                }
                Ok(None) => break Ok(false),
                Err(error) => {
                    self.plan.ready(ErrorReply::from(error).into(), &mut self.output);
                    Some(Effect::Close)
                }
            };
            if effect.is_some() || self.plan.is_full() {
                self.run_plan().await;
                if let Some(effect) = effect
                    && let Err(end) = Box::pin(self.perform(effect)).await
                {
                    break Err(end);
                }
                now = now_ms();
            }
            if self.is_behind() {
                break Ok(true);
            }
        };
        self.context.commands.fetch_add(commands, Relaxed);
        self.run_plan().await;
        ended
    }

    /// Asks the shards, all at once, and writes the answers down in the order of the commands.
    async fn run_plan(&mut self) {
        if self.plan.is_empty() {
            return;
        }
        let mut calls = self.plan.take_calls();
        match calls.pop() {
            // The usual case, without the room that several need.
            Some(call) if calls.is_empty() => {
                let result = ask(&self.context, call).await;
                self.plan.finish([result], &mut self.output);
            }
            last => {
                calls.extend(last);
                let results = Box::pin(ask_all(&self.context, calls)).await;
                self.plan.finish(results, &mut self.output);
            }
        }
    }

    async fn perform(&mut self, effect: Effect) -> Result<(), End> {
        let context = Arc::clone(&self.context);
        let reply = match effect {
            Effect::Subscriptions(changes) => return self.subscribe(changes).await,
            Effect::Close => return Err(End::Close),
            Effect::Shutdown => {
                context.shutdown.notify_one();
                return Err(End::Close);
            }
            Effect::Publish { channel, message } => match context.bus.publish(&channel, &message) {
                Ok(count) => Reply::Integer(i64::try_from(count).unwrap_or(i64::MAX)),
                Err(error) => ErrorReply::from(format!("ERR {error}")).into(),
            },
            Effect::Pubsub(query) => context.bus.query(query),
            Effect::Walk(walk) => walks::reply(&context, walk).await,
            Effect::Info(sections) => {
                Reply::Bulk(info::render(&context.snapshot(&sections).await, &sections).into())
            }
            Effect::ClientList(filter) => {
                let mut others = pin!(context.other_clients(&filter));
                let mut clients = loop {
                    // Two that ask each other at the same time must not wait for each other.
                    let message = tokio::select! {
                        biased;
                        clients = &mut others => break clients,
                        message = process::recv() => message,
                    };
                    self.message(message)?;
                };
                clients.extend(Some(self.session.info(now_ms())).filter(|info| info.is_in(&filter)));
                clients.sort_unstable_by_key(ClientInfo::id);
                Reply::Bulk(clients.iter().map(|info| format!("{info}\n")).collect::<String>().into())
            }
            Effect::Crash(CrashTarget::Hub) => {
                if context.bus.crash().await {
                    Reply::OK
                } else {
                    ErrorReply::new("ERR the hub is being restarted").into()
                }
            }
            Effect::Crash(CrashTarget::Shard(index)) => match context.shards.get(index) {
                Some(shard) => {
                    shard.crash();
                    Reply::OK
                }
                None => {
                    ErrorReply::from(format!("ERR expected a shard from 0 to {}", context.shards.len() - 1))
                        .into()
                }
            },
            Effect::Crash(CrashTarget::Connection(id)) => {
                let id = id.unwrap_or(self.session.id());
                assert!(id != self.session.id(), "DEBUG CRASH connection {id}");
                match context.client_ids.whereis(&id) {
                    Some(pid) => {
                        pid.send(Crash);
                        Reply::OK
                    }
                    None => ErrorReply::from(format!("ERR there is no connection {id}")).into(),
                }
            }
        };
        self.output.reply(reply);
        Ok(())
    }

    /// Takes a message, and those that are behind it, so that they are written together.
    async fn messages(&mut self, first: Message) -> Result<(), End> {
        self.message(first)?;
        let limit = self.context.options.pubsub_buffer.0;
        for _ in 1..MESSAGES_AT_ONCE {
            if self.output.remaining() > limit {
                break;
            }
            let Some(message) = process::try_recv() else { break };
            self.message(message)?;
        }
        Ok(())
    }

    fn message(&mut self, message: Message) -> Result<(), End> {
        let message = match message.downcast::<Delivery>() {
            Ok(delivery) => {
                self.session.deliver(delivery, &mut self.output);
                return Ok(());
            }
            Err(message) => message,
        };
        let message = match message.take_call::<Describe, ClientInfo>() {
            Ok((Describe, from)) => {
                from.reply(self.session.info(now_ms()));
                return Ok(());
            }
            Err(message) => message,
        };
        if message.is::<Crash>() {
            panic!("DEBUG CRASH connection {}", self.session.id());
        }
        match message.downcast::<Exit>() {
            Ok(Exit { pid, reason }) if is_supervisor(pid) => return Err(End::of_supervisor(&reason)),
            Ok(_) => self.unknown = true,
            Err(message) => tracing::warn!(connection = self.session.id(), ?message, "unexpected message"),
        }
        Ok(())
    }

    /// Begins and ends subscriptions. When this returns they hold.
    async fn subscribe(&mut self, changes: Vec<Change>) -> Result<(), End> {
        let bus = &self.context.bus;
        let listener = self.listener.get_or_insert_with(|| Box::new(Listener::new(bus)));
        if listener.change(changes).is_ok() && !has_lost_something().await {
            return Ok(());
        }
        self.introduce().await
    }

    /// Tells a bus and a registry that do not know us, or not all, of our number and subscriptions.
    async fn introduce(&mut self) -> Result<(), End> {
        let give_up = process::now() + RESTART_PATIENCE;
        self.unknown = false;
        loop {
            let registered = match self.context.client_ids.register(self.session.id(), ()) {
                Ok(_) => true,
                Err(RegisterError::AlreadyRegistered { pid, .. }) => pid == process::self_pid(),
                Err(_) => false,
            };
            let subscribed = self.listener.as_ref().is_none_or(|listener| listener.anew().is_ok());
            // If something has crashed meanwhile, this may have been half with the old one.
            if registered && subscribed && !has_lost_something().await {
                return Ok(());
            }
            if process::now() >= give_up {
                tracing::warn!(
                    connection = self.session.id(),
                    "disconnected: there is nobody who takes its subscriptions"
                );
                return Err(End::Lost);
            }
            // Who is waited for may be restarted only after we have gone.
            let supervisor_ended = receive! {
                Exit { pid, reason } if is_supervisor(pid) => Some(reason),
                after RESTART_LOOK => None,
            };
            if let Some(reason) = supervisor_ended {
                return Err(End::of_supervisor(&reason));
            }
        }
    }
}

/// Whether this is our supervisor, and not somebody with whom we are registered.
fn is_supervisor(pid: Pid) -> bool {
    process::parent() == Some(pid)
}

/// Whether there is news in the mailbox that the bus or the registry has crashed. Takes it out.
async fn has_lost_something() -> bool {
    receive! {
        Exit { pid, .. } if !is_supervisor(pid) => true,
        after Duration::ZERO => false,
    }
}

/// Read buffers that nobody reads into at the moment. A connection that waits for a request keeps none, so that many idle
/// clients cost little.
mod buffers {
    use std::cell::RefCell;

    use bytes::BytesMut;

    /// How many a thread keeps: as many as there are likely requests under way.
    const KEPT: usize = 64;
    /// A larger one is freed.
    const BYTES_MAX: usize = 64 << 10;

    thread_local! {
        static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
    }

    /// A buffer without bytes, perhaps without room.
    pub(super) fn take() -> BytesMut {
        SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// Takes an empty buffer back.
    pub(super) fn give(buffer: BytesMut) {
        if (1..=BYTES_MAX).contains(&buffer.capacity()) {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < KEPT {
                    spare.push(buffer);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the future that a function returns.
    fn future_bytes<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        let bytes = future_bytes(Connection::serve) + size_of::<Connection>();
        assert!(bytes <= 2_000, "{bytes}");
    }
}
