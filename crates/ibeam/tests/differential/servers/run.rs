//! Runs a program on ibeam, in the simulation: the twin of `erlang/servers.erl`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ibeam::prelude::*;
use ibeam::sim::Simulation;
use ibeam::{CallError, Timeout};

use super::program::{Answer, Id, Script, Start, Step, Then};
use crate::processes::program::Reason;
use crate::processes::reason_word;

const SHORT: Duration = Duration::from_millis(2);
const SERVERS_TIMEOUT: Duration = Duration::from_millis(1);
/// Over which everything is that a step has caused.
const SETTLED: Duration = Duration::from_secs(10);

/// The words, and the step.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<(Vec<String>, usize)>>);

impl Log {
    fn note(&self, word: impl AsRef<str>) {
        let mut log = self.0.lock().expect("nobody panics while it is locked");
        let word = format!("{}:{}", log.1, word.as_ref());
        log.0.push(word);
    }

    fn next_step(&self) {
        self.0.lock().expect("nobody panics while it is locked").1 += 1;
    }
}

struct Told(Id, Then);
struct Server {
    log: Log,
    stash: BTreeMap<Id, CallFrom<Id>>,
}

fn next(then: Then) -> Next {
    match then {
        Then::GoOn => Next::go_on(),
        Then::Timeout => Next::timeout(SERVERS_TIMEOUT),
        Then::Hibernate => Next::hibernate(),
        Then::Continue(how) => Next::then(how),
        Then::Stop(reason) => Next::stop(reason.into()),
        Then::Exit(reason) => process::exit(reason.into()),
        Then::Crash(value) => panic!("{value}"),
    }
}

#[gen_server]
impl Server {
    async fn init(log: Log, trap_exit: bool, start: Start) -> Init<Self> {
        process::trap_exit(trap_exit);
        match start {
            Start::Ignore => Init::ignore(),
            Start::Then(Then::Stop(reason)) => Init::stop(reason.into()),
            Start::Then(then) => Init::ok(Server { log, stash: BTreeMap::new() }).next(next(then)),
        }
    }

    #[call]
    async fn ask(&mut self, id: Id, answer: Answer, then: Then, from: CallFrom<Id>) -> Reply<Id> {
        self.log.note(format!("s:call.{id}"));
        match answer {
            Answer::Now => {
                let next = next(then);
                Reply::now(id).next(next)
            }
            Answer::First => {
                from.reply(id);
                Reply::later().next(next(then))
            }
            Answer::Later => {
                self.stash.insert(id, from);
                Reply::later().next(next(then))
            }
        }
    }

    #[cast]
    async fn told(&mut self, id: Id, then: Then) -> Next {
        self.log.note(format!("s:cast.{id}"));
        next(then)
    }

    #[cast]
    async fn reply_to(&mut self, id: Id) {
        match self.stash.remove(&id) {
            Some(from) => {
                from.reply(id);
                self.log.note(format!("s:reply.{id}"));
            }
            None => self.log.note("s:nothing"),
        }
    }

    #[info]
    async fn info(&mut self, told: Told) -> Next {
        let Told(id, then) = told;
        self.log.note(format!("s:info.{id}"));
        next(then)
    }

    #[info]
    async fn exits(&mut self, exit: Exit) {
        self.log.note(format!("s:exit.{}", reason_word(&exit.reason)));
    }

    async fn handle_timeout(&mut self) -> Next {
        self.log.note("s:timeout");
        Next::go_on()
    }

    async fn handle_continue(&mut self, work: Continue) -> Next {
        let how = work.downcast::<u32>().expect("the only kind of work here");
        self.log.note(format!("s:continue.{how}"));
        match how {
            1 => Next::stop(ExitReason::other(1_u32)),
            2 => Next::timeout(SERVERS_TIMEOUT),
            3 => Next::then(0_u32),
            _ => Next::go_on(),
        }
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        self.log.note(format!("s:terminate.{}", reason_word(reason)));
    }
}

pub(super) fn run(script: &Script, seed: u64) -> String {
    let script = script.clone();
    Simulation::new(seed).run(async move {
        process::trap_exit(true);
        let log = Log::default();
        match Server::start_link(log.clone(), script.trap_exit, script.start).await {
            Ok(server) => {
                log.note("c:start=ok");
                settle(&log).await;
                let steps = script.steps.into_iter().chain([Step::Stop(Reason::Normal)]);
                for (number, step) in (1_usize..).zip(steps) {
                    log.next_step();
                    perform(&log, &server, number, step);
                    settle(&log).await;
                }
            }
            Err(StartError::Ignored) => log.note("c:start=ignore"),
            Err(StartError::Init { reason }) => log.note(format!("c:start={}", reason_word(&reason))),
            Err(other) => log.note(format!("c:start={other}")),
        }
        let words = std::mem::take(&mut log.0.lock().expect("nobody panics while it is locked").0);
        words.join(" ")
    })
}

async fn settle(log: &Log) {
    process::sleep(SETTLED).await;
    while let Some(message) = process::try_recv() {
        if let Ok(exit) = message.downcast::<Exit>() {
            log.note(format!("c:end={}", reason_word(&exit.reason)));
        }
    }
}

fn perform(log: &Log, server: &ServerRef<Server>, number: usize, step: Step) {
    match step {
        Step::Call { id, short, answer, then } => {
            let (log, server) = (log.clone(), server.clone());
            process::spawn(async move {
                let timeout = if short { Timeout::After(SHORT) } else { Timeout::Infinity };
                let result = match server.ask(id, answer, then).timeout(timeout).await {
                    Ok(reply) => format!("r{reply}"),
                    Err(error) => error_word(error),
                };
                log.note(format!("c:{id}={result}"));
                // Whatever comes late is to be seen.
                let late = process::recv().await;
                log.note(format!("c:{id}=late{}", late.type_name()));
            });
        }
        Step::Cast(id, then) => server.told(id, then),
        Step::Info(id, then) => server.send(Told(id, then)),
        Step::Reply(id) => server.reply_to(id),
        Step::Stop(reason) => {
            let (log, server) = (log.clone(), server.clone());
            process::spawn(async move {
                let result = match server.stop(reason.into(), None).await {
                    Ok(()) => "ok".to_owned(),
                    Err(error) => error_word(error),
                };
                log.note(format!("c:stop{number}={result}"));
            });
        }
        Step::Exit(reason) => process::exit_signal(server.pid().expect("by pid"), reason.into()),
    }
}

fn error_word(error: CallError) -> String {
    match error {
        CallError::NoProc { .. } => "noproc".to_owned(),
        CallError::Timeout { .. } => "timeout".to_owned(),
        CallError::Exited { reason, .. } => format!("exit.{}", reason_word(&reason)),
        other => other.to_string().replace(' ', "_"),
    }
}
