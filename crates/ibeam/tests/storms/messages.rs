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

async fn receiver(messages: u64, told: Pid) {
    let mut next = 0;
    let mut partner = None;
    while next < messages {
        receive! {
            Partner(pid) => partner = Some(pid),
            Numbered(number) => {
                assert_eq!(number, next, "the next message of the pair");
                next += 1;
                if next % (WINDOW / 2) == 0
                    && let Some(partner) = partner
                {
                    partner.send(Arrived(next));
                }
            }
        }
    }
    told.send(Done(next));
}

/// Whom a receiver tells what has arrived.
struct Partner(Pid);

#[test]
fn every_message_arrives_once_and_in_order() {
    let _alone = alone();
    let (pairs, messages) = pick((100, 4_000), (1_000, 100_000));
    on_threads(move || async move {
        let me = process::self_pid();
        for _ in 0..pairs {
            let receiver = process::spawn_link(receiver(messages, me));
            let (hello, sender) = (receiver, process::spawn_link(sender(receiver, messages)));
            hello.send(Partner(sender));
        }
        let mut received = 0;
        for _ in 0..pairs {
            received += receive! { Done(count) => count };
        }
        assert_eq!(received, pairs * messages);
    });
}
