//! Traces of programs over processes, and what of them is promised.
//!
//! | word | means |
//! |---|---|
//! | `17=true` | operation 17 said so |
//! | `d3.1=shutdown` | actor 1 ended in step 3 with this reason |
//!
//! What an actor found in its mailbox is a list: `m.2.17` (message 17 of actor 2), `t.9` (timer 9), `x.2.kill` (an exit of actor 2),
//! `n.2.5.normal` (the notice of monitor 5, of actor 2).

/// Sorts what different senders have sent. Of one sender everything stays in order, but for the notices of its end: in which
/// order a process that ends tells its links and monitors is its own affair.
pub(crate) fn canonical(trace: &str) -> Vec<String> {
    let mut words: Vec<String> = trace
        .split_ascii_whitespace()
        .map(|word| match word.split_once("=[").and_then(|(id, list)| Some((id, list.strip_suffix(']')?))) {
            Some((id, list)) => format!("{id}=[{}]", by_sender(list).join(",")),
            None => word.to_owned(),
        })
        .collect();
    words.sort_unstable();
    words
}

fn by_sender(list: &str) -> Vec<&str> {
    let mut messages: Vec<&str> = list.split(',').collect();
    messages.sort_by_key(|message| sender(message));
    let from_one = messages.chunk_by_mut(|one, other| sender(one) == sender(other));
    for messages in from_one {
        for notices in messages.chunk_by_mut(|one, other| is_notice(one) && is_notice(other)) {
            // The sort is stable: exits come before monitors' notices, in their own order.
            notices.sort_by_key(|notice| if notice.starts_with('n') { *notice } else { "" });
        }
    }
    messages
}

/// Timers have no sender, so each counts as its own.
fn sender(message: &str) -> (&str, &str) {
    match message.split_once('.') {
        Some(("t", id)) => ("timer", id),
        Some((_, rest)) => ("actor", rest.split_once('.').map_or(rest, |(sender, _)| sender)),
        None => ("", message),
    }
}

fn is_notice(message: &str) -> bool {
    message.starts_with(['x', 'n'])
}

#[test]
fn only_what_is_promised_is_left() {
    let words =
        canonical("2=true 1=[m.1.4,m.0.9,t.3,m.0.8,n.1.7.kill,x.1.shutdown,x.1.kill,n.1.6.kill,m.1.5]\n");
    assert_eq!(
        words,
        ["1=[m.0.9,m.0.8,m.1.4,x.1.shutdown,x.1.kill,n.1.6.kill,n.1.7.kill,m.1.5,t.3]", "2=true"]
    );
}
