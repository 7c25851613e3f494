//! Asking shards and other servers of the tree, from whatever process, so that one that is being restarted is waited for.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ibeam::prelude::*;
use smallvec::SmallVec;

use super::super::plan::{BatchReply, Calls, ShardCall};
use super::super::resp::ErrorReply;
use super::context::Context;
use super::shard_server::{ShardServer, ShardServerClient};

/// How long a request waits for a server that is being restarted.
pub(super) const RESTART_PATIENCE: Duration = Duration::from_secs(5);
/// How long a request waits between two looks for it.
pub(super) const RESTART_LOOK: Duration = Duration::from_millis(1);

/// Awaits a call of a server. While that is being restarted the call waits; one that was under way when the server
/// crashed has failed.
async fn patiently<R>(mut call: impl Future<Output = Result<R, CallError>> + Unpin) -> Result<R, CallError> {
    match (&mut call).await {
        Err(CallError::NoProc { .. }) => {}
        result => return result,
    }
    let give_up = process::now() + RESTART_PATIENCE;
    loop {
        process::sleep(RESTART_LOOK).await;
        match (&mut call).await {
            Err(CallError::NoProc { .. }) if process::now() < give_up => {}
            result => return result,
        }
    }
}

/// The process that a shard has now. Its handle, which all connections share, would be a place where they get in each other's way.
fn by_pid(shard: &ServerRef<ShardServer>) -> ServerRef<ShardServer> {
    shard.pid().map_or_else(|| shard.clone(), ServerRef::of)
}

/// Sends a call to the next process of the server: the one that it was for had ended before it came.
async fn to_the_next<S: HandleCall<Q>, Q: Send + 'static>(
    mut call: Call<S, Q>,
    server: &ServerRef<S>,
) -> Result<S::Reply, CallError> {
    call.redirect(server);
    patiently(call).await
}

/// Asks a shard. One that is being restarted is waited for.
pub(super) async fn ask(context: &Context, call: ShardCall) -> Result<BatchReply, ErrorReply> {
    let ShardCall { shard, batch } = call;
    let server = &context.shards[shard];
    let mut call = by_pid(server).run(batch).timeout(Timeout::Infinity);
    let result = match (&mut call).await {
        Err(CallError::NoProc { .. }) => Box::pin(to_the_next(call, server)).await,
        result => result,
    };
    result.map_err(|error| failed(&format!("shard {shard}"), &error))
}

/// Asks several shards at once; all answers, in the order of the calls.
pub(super) async fn ask_all(
    context: &Context,
    calls: Calls,
) -> SmallVec<[Result<BatchReply, ErrorReply>; 4]> {
    let shards: SmallVec<[usize; 4]> = calls.iter().map(|call| call.shard).collect();
    let mut calls: SmallVec<[_; 4]> = calls
        .into_iter()
        .map(|ShardCall { shard, batch }| {
            by_pid(&context.shards[shard]).run(batch).timeout(Timeout::Infinity)
        })
        .collect();
    let sent = send_all(&mut calls).await;
    let mut results = SmallVec::new();
    for ((shard, mut call), early) in shards.into_iter().zip(calls).zip(sent) {
        let result = match early {
            Some(result) => result,
            None => (&mut call).await,
        };
        let result = match result {
            Err(CallError::NoProc { .. }) => to_the_next(call, &context.shards[shard]).await,
            result => result,
        };
        results.push(result.map_err(|error| failed(&format!("shard {shard}"), &error)));
    }
    results
}

/// Polls each call once, which sends it; what is known of each by then. Await the others in any order: they run side by side.
pub(super) async fn send_all<C: Future + Unpin>(calls: &mut [C]) -> SmallVec<[Option<C::Output>; 4]> {
    poll_fn(|cx| {
        let poll = |call: &mut C| match pin!(call).poll(cx) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        };
        Poll::Ready(calls.iter_mut().map(poll).collect())
    })
    .await
}

/// What a client is told whose request `whom` did not answer.
fn failed(whom: &str, error: &CallError) -> ErrorReply {
    let why = match error {
        CallError::Exited { .. } => {
            "crashed while it had this request; whether it was done is not known".to_owned()
        }
        error => error.to_string(),
    };
    ErrorReply::from(format!("ERR {whom}: {why}"))
}
