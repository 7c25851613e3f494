//! Numbered messages over many pairs at once: each receiver gets all of its sender's, in order, and none twice.

use ibeam::prelude::*;

use crate::scale::{alone, on_threads, pick};

/// How many messages are under way per pair.
const WINDOW: u64 = 1_000;

struct Numbered(u64);
/// So many have arrived.
struct Arrived(u64);
/// A pair is done: how many the receiver got.
struct Done(u64);

async fn sender(receiver: Pid, messages: u64) {
    let mut arrived = 0;
    for number in 0..messages {
        receiver.send(Numbered(number));
        while number - arrived >= WINDOW {
            arrived = receive! { Arrived(count) => count };
        }
    }
}

/// Starts its own sender, so that each knows the other.
async fn receiver(messages: u64, told: Pid) {
    let sender = process::spawn_link(sender(process::self_pid(), messages));
    let mut next = 0;
    while next < messages {
        receive! {
            Numbered(number) => {
                assert_eq!(number, next, "the next message of the pair");
                next += 1;
                if next % (WINDOW / 2) == 0 {
                    sender.send(Arrived(next));
                }
            }
        }
    }
    told.send(Done(next));
}

#[test]
fn every_message_arrives_once_and_in_order() {
    let _alone = alone();
    let (pairs, messages) = pick((100, 4_000), (1_000, 100_000));
    on_threads(move || async move {
        let me = process::self_pid();
        for _ in 0..pairs {
            process::spawn_link(receiver(messages, me));
        }
        let mut received = 0;
        for _ in 0..pairs {
            received += receive! { Done(count) => count };
        }
        assert_eq!(received, pairs * messages);
    });
}
