//! When supervisors restart: how long they wait under a back-off, and for whom they wait while a name is still somebody's.
//!
//! Each start of a child is written down with its time, on the virtual clocks.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod supervisors;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{idle, on_each_driver};
use ibeam::Instant;
use ibeam::prelude::*;
use ibeam::supervisor::Backoff;
use supervisors::{HOUR, Switch, counts, crash, end, obey, one_for_one, pid, start, watch};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Runs the body where waiting costs nothing.
#[track_caller]
fn on_virtual_clocks<B: Future<Output = ()> + Send + 'static>(body: fn() -> B) {
    on_each_driver(move |driver| async move {
        if !driver.has_real_clock() {
            body().await;
        }
    });
}

/// What was started and when, and as which processes.
#[derive(Clone, Default)]
struct Diary {
    starts: Arc<Mutex<Vec<(String, Instant)>>>,
    pids: Arc<Mutex<Vec<Pid>>>,
}

impl Diary {
    /// What was written since the last time: `+a 3` is a start 3 units after `began`, `!a 3` one that failed.
    fn take(&self, began: Instant, unit: Duration) -> Vec<String> {
        let entries = std::mem::take(&mut *self.starts.lock().unwrap());
        let time = |at: Instant| (at - began).as_millis() / unit.as_millis();
        entries.into_iter().map(|(what, at)| format!("{what} {}", time(at))).collect()
    }

    /// Has the last process that was started end, and forgets what was before. When that was.
    async fn crash(&self) -> Instant {
        self.starts.lock().unwrap().clear();
        let last = self.pids.lock().unwrap().pop().expect("a start");
        end(last, crash()).await;
        process::now()
    }

    /// Has all processes end at once.
    fn crash_all(&self) -> Instant {
        self.starts.lock().unwrap().clear();
        self.pids.lock().unwrap().drain(..).for_each(process::kill);
        process::now()
    }

    /// A child that starts if it `may`.
    fn child(&self, id: &str, may: impl Fn() -> Result<(), StartError> + Send + Sync + 'static) -> ChildSpec {
        let (name, diary) = (id.to_owned(), self.clone());
        ChildSpec::new(id, move || {
            let may = may();
            let sign = if may.is_ok() { '+' } else { '!' };
            diary.starts.lock().unwrap().push((format!("{sign}{name}"), process::now()));
            let diary = diary.clone();
            async move {
                may?;
                let pid = process::spawn_link(obey());
                diary.pids.lock().unwrap().push(pid);
                Ok(pid)
            }
        })
    }

    /// A child that starts while the switch is on.
    fn switched(&self, id: &str, switch: &Switch) -> ChildSpec {
        let switch = switch.clone();
        self.child(id, move || match switch.is_on() {
            true => Ok(()),
            false => Err(StartError::Init { reason: ExitReason::other("off") }),
        })
    }

    /// A child whose name is somebody else's, while there is somebody.
    fn named(&self, id: &str, holder: &Holder) -> ChildSpec {
        let holder = Arc::clone(holder);
        self.child(id, move || match *holder.lock().unwrap() {
            None => Ok(()),
            Some(pid) => Err(StartError::AlreadyStarted { name: "server".into(), pid }),
        })
    }
}

type Holder = Arc<Mutex<Option<Pid>>>;

fn doubling() -> Backoff {
    Backoff::new(SECOND, 8 * SECOND).jitter(0.0)
}

/// Either kind of supervisor.
async fn supervisor(
    dynamic: bool,
    backoff: Option<Backoff>,
    restarts: usize,
    children: Vec<ChildSpec>,
) -> Pid {
    process::trap_exit(true);
    if dynamic {
        let plan = DynamicSupervisor::spec().intensity(restarts, HOUR);
        let plan = backoff.into_iter().fold(plan, DynamicSupervisor::backoff);
        let supervisor = plan.start_link().await.unwrap();
        for child in children {
            supervisor.start_child(child).await.unwrap();
        }
        supervisor.pid().unwrap()
    } else {
        let plan = one_for_one().intensity(restarts, HOUR).children(children);
        let plan = backoff.into_iter().fold(plan, Supervisor::backoff);
        plan.start_link().await.unwrap().pid().unwrap()
    }
}

/// Of the child's own back-off and of the supervisor's.
#[test]
fn waits_double_until_a_child_is_stable() {
    on_virtual_clocks(|| async {
        for (dynamic, own) in [(false, true), (false, false), (true, true), (true, false)] {
            let (switch, diary) = (Switch::on(), Diary::default());
            let child = diary.switched("a", &switch);
            let child = if own { child.backoff(doubling()) } else { child };
            let of_all = (!own).then(doubling);
            let supervisor = supervisor(dynamic, of_all, 4, vec![child]).await;
            switch.set(false);
            let began = diary.crash().await;
            process::sleep(25 * SECOND).await;
            assert_eq!(diary.take(began, SECOND), ["!a 0", "!a 1", "!a 3", "!a 7", "!a 15", "!a 23"]);
            switch.set(true);
            process::sleep(7 * SECOND).await;
            assert_eq!(diary.take(began, SECOND), ["+a 31"]);
            // It has run for 1 s, which is not long enough.
            let began = diary.crash().await;
            process::sleep(15 * SECOND).await;
            assert_eq!(diary.take(began, SECOND), ["+a 8"]);
            process::sleep(SECOND).await;
            // For 8 s.
            let began = diary.crash().await;
            process::sleep(SECOND / 2).await;
            assert_eq!(diary.take(began, SECOND), ["+a 0"]);
            let began = diary.crash().await;
            process::sleep(10 * SECOND).await;
            assert_eq!(diary.take(began, SECOND), ["+a 1"]);
            let over = watch(supervisor);
            diary.crash().await;
            assert_eq!(over.await, ExitReason::Shutdown, "ends count, tries do not: this is the fifth");
        }
    });
}

/// The jitter: up to half of the wait here.
#[test]
fn who_fails_together_does_not_come_back_together() {
    on_virtual_clocks(|| async {
        for dynamic in [false, true] {
            let (switch, diary) = (Switch::on(), Diary::default());
            let children = ["a", "b", "c", "d", "e"].map(|id| diary.switched(id, &switch));
            let backoff = Backoff::new(10 * SECOND, HOUR).jitter(0.5);
            let _supervisor = supervisor(dynamic, Some(backoff), 10, children.into()).await;
            diary.crash_all();
            process::sleep(SECOND).await;
            let began = diary.crash_all();
            process::sleep(11 * SECOND).await;
            let starts = diary.take(began, MS);
            let times: BTreeSet<u32> =
                starts.iter().map(|start| start.split(' ').nth(1).unwrap().parse().unwrap()).collect();
            // A timer may be a little late, and two of them come to the same time.
            assert!(starts.len() == 5 && times.len() > 2, "{starts:?}");
            assert_eq!(times.len(), times.range(5_000..=10_050).count(), "{starts:?}");
        }
    });
}

/// Also where other simulations have used other pids meanwhile.
#[test]
fn the_same_seed_waits_as_long_again() {
    let waits = |dynamic: bool| {
        ibeam::sim::Simulation::new(7).run(async move {
            let (switch, diary) = (Switch::on(), Diary::default());
            let children = ["a", "b", "c"].map(|id| diary.switched(id, &switch));
            let backoff = Backoff::new(10 * SECOND, HOUR).jitter(0.5);
            let _supervisor = supervisor(dynamic, Some(backoff), 10, children.into()).await;
            diary.crash_all();
            process::sleep(SECOND).await;
            let began = diary.crash_all();
            process::sleep(11 * SECOND).await;
            diary.take(began, MS)
        })
    };
    for dynamic in [false, true] {
        let first = waits(dynamic);
        assert_eq!((first.len(), &waits(dynamic)), (3, &first), "dynamic: {dynamic}");
    }
}

/// Those before the one that does not start run, and those behind it wait.
#[test]
fn a_restart_of_all_goes_on_where_it_has_failed() {
    on_virtual_clocks(|| async {
        let (switch, on, diary) = (Switch::on(), Switch::on(), Diary::default());
        let children = [("a", &on), ("b", &switch), ("c", &on), ("d", &on)];
        let children = children.map(|(id, switch)| diary.switched(id, switch));
        let plan = Supervisor::new(Strategy::OneForAll).intensity(1, HOUR).backoff(doubling());
        let supervisor = start(plan.children(children)).await;
        switch.set(false);
        let began = diary.crash().await;
        process::sleep(2 * SECOND).await;
        assert_eq!(diary.take(began, SECOND), ["+a 0", "!b 0", "!b 1"]);
        let a = pid(&supervisor, "a").await;
        assert_eq!(counts(&supervisor).await, [4, 1, 0, 4]);
        switch.set(true);
        process::sleep(2 * SECOND).await;
        assert_eq!(diary.take(began, SECOND), ["+b 3", "+c 3", "+d 3"]);
        assert_eq!((pid(&supervisor, "a").await, counts(&supervisor).await), (a, [4, 4, 0, 4]));
    });
}

/// A name may be that of somebody who is about to end, and has a moment for that: once. So has the name of a child of a
/// supervisor that is restarted.
#[test]
fn a_name_that_stays_taken_is_waited_for_once() {
    on_virtual_clocks(|| async {
        for in_the_middle in [false, true] {
            let (holder, diary) = (Holder::default(), Diary::default());
            let child = diary.named("a", &holder);
            let child = if in_the_middle { one_for_one().child(child).into_child("middle") } else { child };
            let supervisor = start(one_for_one().intensity(3, HOUR).child(child)).await;
            let top = watch(supervisor.pid().unwrap());
            *holder.lock().unwrap() = Some(process::spawn(idle()));
            let began = process::now();
            diary.take(began, 10 * MS);
            let id = if in_the_middle { "middle" } else { "a" };
            end(pid(&supervisor, id).await, ExitReason::Kill).await;
            assert_eq!(top.await, ExitReason::Shutdown);
            assert_eq!(diary.take(began, 10 * MS), ["!a 0", "!a 10", "!a 10"]);
        }
    });
}

#[test]
fn a_name_that_gets_free_is_waited_for_no_longer() {
    on_virtual_clocks(|| async {
        let (holder, diary) = (Holder::default(), Diary::default());
        let supervisor = start(one_for_one().intensity(2, HOUR).child(diary.named("a", &holder))).await;
        let other = process::spawn(idle());
        *holder.lock().unwrap() = Some(other);
        let began = diary.crash().await;
        process::sleep(40 * MS).await;
        let watchers = process::info(other).await.unwrap().monitored_by;
        assert_eq!(watchers, [supervisor.pid().unwrap()]);
        *holder.lock().unwrap() = None;
        process::kill(other);
        process::sleep(SECOND).await;
        assert_eq!(diary.take(began, 10 * MS), ["!a 0", "+a 4"]);
        assert_eq!(counts(&supervisor).await, [1, 1, 0, 1]);
    });
}

#[test]
fn who_is_not_waited_for_any_more_is_not_watched() {
    on_virtual_clocks(|| async {
        let (holder, diary) = (Holder::default(), Diary::default());
        let supervisor = start(one_for_one().child(diary.named("a", &holder))).await;
        let other = process::spawn(idle());
        *holder.lock().unwrap() = Some(other);
        let began = diary.crash().await;
        supervisor.terminate_child("a").await.unwrap();
        assert_eq!(process::info(other).await.unwrap().monitored_by, []);
        process::kill(other);
        process::sleep(SECOND).await;
        assert_eq!(diary.take(began, 10 * MS), ["!a 0"], "it was terminated");
    });
}

/// The end of whom it waits for and the end of the wait, both heard late, are one reason to try again.
#[test]
fn a_retry_comes_once() {
    on_virtual_clocks(|| async {
        let (holder, diary) = (Holder::default(), Diary::default());
        let supervisor = start(one_for_one().intensity(9, HOUR).child(diary.named("a", &holder))).await;
        let [former, latter] = [(); 2].map(|()| process::spawn(idle()));
        *holder.lock().unwrap() = Some(former);
        let began = diary.crash().await;
        process::sleep(50 * MS).await;
        let other = supervisor.clone();
        process::spawn(async move {
            let slow = ChildSpec::new("slow", || async {
                process::sleep(200 * MS).await;
                Ok(process::spawn_link(obey()))
            });
            other.start_child(slow).await.unwrap();
        });
        process::sleep(10 * MS).await;
        *holder.lock().unwrap() = Some(latter);
        process::kill(former);
        process::sleep(200 * MS).await;
        assert_eq!(diary.take(began, 10 * MS), ["!a 0", "!a 25"]);
        *holder.lock().unwrap() = None;
        process::sleep(SECOND).await;
        assert_eq!(diary.take(began, 10 * MS), ["+a 35"]);
    });
}
