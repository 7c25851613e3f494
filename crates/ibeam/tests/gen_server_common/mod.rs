//! A server that does what each request says, and a registry of names, for the tests of GenServer.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ibeam::gen_server::ServerStatus;
use ibeam::prelude::*;
use ibeam::{KeyTaken, NameRegistry};

pub type OnCall = Box<dyn FnOnce(&mut Probe, CallFrom<u64>) -> Reply<u64> + Send>;
pub type OnMessage = Box<dyn FnOnce(&mut Probe) -> Next + Send>;
/// A plain message for a [`Probe`].
pub struct Info(pub OnMessage);
/// Work for `handle_continue`.
pub struct Work(pub OnMessage);

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work")
    }
}

/// What a [`Probe`] tells when `terminate` runs.
#[derive(Debug, PartialEq)]
pub struct Terminated(pub ExitReason);
/// What a [`Probe`] tells when its time is up.
#[derive(Debug, PartialEq)]
pub struct TimedOut;

pub struct Probe {
    pub told: Pid,
    pub count: u64,
    pub waiting: Option<CallFrom<u64>>,
    pub status: fn(&mut ServerStatus),
}

impl Probe {
    pub fn new(told: Pid) -> Self {
        Probe { told, count: 0, waiting: None, status: |_| {} }
    }
}

#[gen_server]
impl Probe {
    async fn init(make: impl_init::OnInit) -> Init<Self> {
        make()
    }

    #[call]
    async fn ask(&mut self, how: OnCall, from: CallFrom<u64>) -> Reply<u64> {
        how(self, from)
    }

    /// Counts one and replies.
    #[call]
    async fn count(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    #[cast]
    async fn told_to(&mut self, what: OnMessage) -> Next {
        what(self)
    }

    #[info]
    async fn info(&mut self, info: Info) -> Next {
        (info.0)(self)
    }

    async fn handle_continue(&mut self, work: Continue) -> Next {
        let work = work.downcast::<Work>().unwrap();
        (work.0)(self)
    }

    async fn handle_timeout(&mut self) -> Next {
        self.count += 100;
        self.told.send(TimedOut);
        if let Some(from) = self.waiting.take() {
            from.reply(self.count);
        }
        Next::go_on()
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        self.told.send(Terminated(reason.clone()));
    }
}

pub mod impl_init {
    use super::{Init, Probe};

    pub type OnInit = Box<dyn FnOnce() -> Init<Probe> + Send>;
}

/// `init` succeeds; the test's process is told what happens.
pub fn ok() -> impl_init::OnInit {
    let me = process::self_pid();
    Box::new(move || Init::ok(Probe::new(me)))
}

/// `init` does this.
pub fn init(how: impl FnOnce() -> Init<Probe> + Send + 'static) -> impl_init::OnInit {
    Box::new(how)
}

/// For [`ProbeClient::ask`].
pub fn call(how: impl FnOnce(&mut Probe, CallFrom<u64>) -> Reply<u64> + Send + 'static) -> OnCall {
    Box::new(how)
}

/// For [`ProbeClient::told_to`].
pub fn cast(what: impl FnOnce(&mut Probe) -> Next + Send + 'static) -> OnMessage {
    Box::new(what)
}

/// A reply that comes after a while.
pub fn reply_after(after: Duration, reply: u64) -> OnCall {
    call(move |_, from| {
        process::spawn(async move {
            process::sleep(after).await;
            from.reply(reply);
        });
        Reply::later()
    })
}

pub fn stopped() -> ExitReason {
    ExitReason::other("stopped")
}

/// A registry of names that a program could have: it monitors nobody, so keys of the dead are looked through.
#[derive(Clone, Default)]
pub struct Phonebook(Arc<Mutex<HashMap<String, Pid>>>);

impl NameRegistry for Phonebook {
    type Key = String;

    fn name(&self) -> &str {
        "phonebook"
    }

    async fn register(&self, key: &String, pid: Pid) -> Result<(), KeyTaken> {
        // Others get their turn, as they would while a registry's own process is asked.
        process::yield_now().await;
        let mut entries = self.0.lock().unwrap();
        match entries.get(key).copied().filter(lives) {
            Some(taken) => Err(KeyTaken { pid: taken }),
            None => {
                entries.insert(key.clone(), pid);
                Ok(())
            }
        }
    }

    async fn unregister(&self, key: &String) {
        self.0.lock().unwrap().remove(key);
    }

    fn whereis(&self, key: &String) -> Option<Pid> {
        self.0.lock().unwrap().get(key).copied().filter(lives)
    }
}

fn lives(pid: &Pid) -> bool {
    process::list().contains(pid)
}
