//! Names: one process per name, free when the news of its end is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use ibeam::prelude::*;
use ibeam_testkit::prelude::*;

use crate::*;

/// Counts down also when its process is killed.
struct Owning(Arc<AtomicI64>);

impl Drop for Owning {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[ibeam::simulate(faults = Faults::rough().kills(5))]
async fn a_name_has_one_owner_and_finds_another() {
    let owners = Arc::new(AtomicI64::new(0));
    for _ in 0..6 {
        let owners = Arc::clone(&owners);
        process::builder().label("contender").spawn(async move {
            for _ in 0..200 {
                if process::register("leader", process::self_pid()).is_ok() {
                    let before = owners.fetch_add(1, SeqCst);
                    let _owning = Owning(Arc::clone(&owners));
                    assert_eq!(before, 0, "two leaders");
                    process::sleep(3 * MS).await;
                    if process::whereis("leader") == Some(process::self_pid()) {
                        process::unregister("leader").unwrap();
                    }
                    drop(_owning);
                }
                process::sleep(2 * MS).await;
            }
        });
    }
    for _ in 0..100 {
        process::sleep(3 * MS).await;
        assert!(owners.load(SeqCst) <= 1);
    }
    until_quiet().await;
    assert_eq!(process::whereis("leader"), None);
}

#[ibeam::simulate(faults = Faults::none().kills(4).kill_only(with_a_name).delay(30 * MS).slow(30 * MS))]
async fn who_hears_of_an_end_finds_the_name_free() {
    for _ in 0..5 {
        let pid = process::builder().name("owner").spawn(async { process::sleep(10 * MS).await });
        let monitor = process::monitor(pid);
        assert_receive!(Down { monitor: m, .. } if m == monitor, within: 10_000 * MS);
        assert_eq!(process::whereis("owner"), None);
    }
}

#[ibeam::simulate(faults = Faults::rough().kills(5).kill_only(with_a_name))]
async fn a_handle_by_name_never_goes_back_in_time() {
    let starts = Starts::default();
    let tree = Supervisor::new(Strategy::OneForOne).intensity(OFTEN.0, OFTEN.1).child(worker("w", &starts));
    started(|| tree.clone()).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(process::builder().label("client").spawn_monitor(async {
            let mut last = 0;
            for _ in 0..8 {
                if let Ok(life) = named("w").life().timeout(100 * MS).await {
                    assert!(life >= last, "life {life} after {last}");
                    last = life;
                }
                process::sleep(4 * MS).await;
            }
        }));
    }
    for (_, client) in clients {
        let client = client.reference();
        let (_, reason) =
            assert_receive!(Down { monitor, reason, .. } if monitor == client, within: 60_000 * MS);
        assert!(!matches!(reason, ExitReason::Panic(_)), "{reason}");
    }
}
