//! PubSub: who speaks in a room does not know who listens.
//!
//! ```sh
//! cargo run -p ibeam --example pubsub
//! ```
//!
//! prints
//!
//! ```text
//! joe hears mike: hello
//! robert hears mike: hello
//! joe hears robert: hello mike
//! mike hears robert: hello mike
//! in the room: 3
//! robert has left, in the room: 2
//! joe hears the news: maintenance at noon
//! ```

use std::sync::Arc;

use ibeam::prelude::*;

/// What is said in a room. Each listener gets a clone, so the text is shared.
#[derive(Clone)]
struct Said {
    by: &'static str,
    text: Arc<str>,
}

/// News for everybody.
#[derive(Clone)]
struct News(&'static str);

struct Guest {
    name: &'static str,
    chat: PubSub,
}

#[gen_server(client = pub(crate) GuestClient)]
impl Guest {
    async fn init(name: &'static str) -> Init<Self> {
        let chat = PubSub::named("chat");
        let subscribed = chat.subscribe("room:1").and_then(|()| chat.subscribe("news"));
        match subscribed {
            Ok(()) => Init::ok(Guest { name, chat }),
            Err(error) => Init::stop(ExitReason::error(error)),
        }
    }

    /// Says something to all others in the room. The reply comes when they have it in their mailboxes.
    #[call]
    async fn say(&mut self, text: &'static str) {
        let said = Said { by: self.name, text: text.into() };
        if let Err(error) = self.chat.broadcast_from(process::self_pid(), "room:1", said) {
            println!("{} is not heard: {error}", self.name);
        }
    }

    #[info]
    async fn said(&mut self, said: Said) {
        println!("{} hears {}: {}", self.name, said.by, said.text);
    }

    #[info]
    async fn news(&mut self, News(text): News) {
        println!("{} hears the news: {text}", self.name);
    }

    /// Replies when all that was said before has been heard.
    #[call]
    async fn listen(&mut self) {}
}

#[ibeam::main]
async fn main() -> Result<(), ExitReason> {
    let top = Supervisor::new(Strategy::RestForOne).child(PubSub::new("chat"));
    let _top = top.start_link().await?;
    let chat = PubSub::named("chat");

    let joe = Guest::start_link("joe").await?;
    let mike = Guest::start_link("mike").await?;
    let robert = Guest::start("robert").await?;

    mike.say("hello").await?;
    // One after the other, so that what is printed has an order.
    joe.listen().await?;
    robert.listen().await?;
    robert.say("hello mike").await?;
    joe.listen().await?;
    mike.listen().await?;

    println!("in the room: {}", chat.subscribers("room:1").len());
    robert.stop(ExitReason::Normal, Timeout::Infinity).await?;
    // A subscription ends with its process.
    println!("robert has left, in the room: {}", chat.subscribers("room:1").len());

    mike.stop(ExitReason::Normal, Timeout::Infinity).await?;
    chat.broadcast("news", News("maintenance at noon")).map_err(ExitReason::error)?;
    joe.listen().await?;
    Ok(())
}
