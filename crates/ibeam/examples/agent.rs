//! An agent: a value that several processes share, changed by functions that run where it is.
//!
//! ```sh
//! cargo run -p ibeam --example agent
//! ```
//!
//! prints
//!
//! ```text
//! visits by 3 readers: 300
//! the most visited page: /news with 150
//! taken out: 150
//! still there: 2 pages
//! after the restart: 0 pages
//! ```

use std::collections::BTreeMap;

use ibeam::prelude::*;

/// How often each page was visited.
type Visits = BTreeMap<String, u32>;

/// Visits a hundred pages, and notes each visit without waiting for the agent.
async fn read(visits: AgentRef<Visits>) {
    for page in ["/", "/news", "/about", "/news"].into_iter().cycle().take(100) {
        visits.cast(move |visits| *visits.entry(page.to_owned()).or_default() += 1);
    }
}

#[ibeam::main]
async fn main() -> Result<(), ExitReason> {
    let top = Supervisor::new(Strategy::OneForOne).child(Agent::child(Visits::new).name("visits"));
    let _top = top.start_link().await?;
    let visits = AgentRef::<Visits>::named("visits");

    let readers = [(); 3].map(|()| process::spawn_monitor(read(visits.clone())).1);
    for reader in readers {
        receive! { Down { monitor, .. } if monitor == reader => {} }
    }
    // Their casts were in the agent's mailbox when the news of their end came, so this call stands behind them.
    println!("visits by 3 readers: {}", visits.get(|visits| visits.values().sum::<u32>()).await?);

    let most =
        visits.get(|visits| visits.iter().max_by_key(|(_, count)| **count).map(|(page, _)| page.clone()));
    let page = most.await?.unwrap_or_default();
    println!(
        "the most visited page: {page} with {}",
        visits
            .get({
                let page = page.clone();
                move |visits| visits[&page]
            })
            .await?
    );
    println!(
        "taken out: {}",
        visits.get_and_update(move |visits| visits.remove(&page).unwrap_or_default()).await?
    );
    println!("still there: {} pages", visits.get(Visits::len).await?);

    // A function that panics takes the agent with it. Its caller gets the reason, and the supervisor starts it again, empty.
    if let Err(error) = visits.get(|visits| visits["/gone"]).await {
        assert!(matches!(error, CallError::Exited { .. }), "{error}");
    }
    println!("after the restart: {} pages", visits.get(Visits::len).wait_for_name().await?);
    Ok(())
}
