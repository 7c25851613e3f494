//! Players by name in a registry with unique keys, and all who listen to a room in one with duplicate keys.
//!
//! ```sh
//! cargo run -p ibeam --example registry
//! ```
//!
//! prints
//!
//! ```text
//! Ann has 3 points, with level 1
//! there is a player called Ann already
//! in the garden: 2 listeners, and Ann hears: it rains
//! Bob is gone, and so are his entries: 1 player, 1 listener
//! another Bob can come
//! ```

use ibeam::prelude::*;
use ibeam::registry::DuplicateRegistry;

/// A player, who listens to a room.
struct Player {
    points: u32,
    heard: Vec<&'static str>,
}

/// What is said in a room.
struct Said(&'static str);

type Names = Registry<&'static str, u8>;
type Rooms = DuplicateRegistry<&'static str, ()>;

#[gen_server]
impl Player {
    async fn init((): ()) -> Init<Self> {
        // From now on, for as long as this process lives.
        match Rooms::named("rooms").register("garden", ()) {
            Ok(_) => Init::ok(Player { points: 0, heard: Vec::new() }),
            Err(error) => Init::stop(ExitReason::error(error)),
        }
    }

    #[call]
    async fn score(&mut self, points: u32) -> u32 {
        self.points += points;
        self.points
    }

    #[call]
    async fn heard(&mut self) -> Vec<&'static str> {
        self.heard.clone()
    }

    #[info]
    async fn said(&mut self, Said(what): Said) {
        self.heard.push(what);
    }
}

#[ibeam::main]
async fn main() -> Result<(), ExitReason> {
    let names = Names::unique("players").start_link().await.map_err(ExitReason::error)?;
    let rooms: Rooms = Registry::duplicate("rooms").start_link().await.map_err(ExitReason::error)?;

    // Registered under its name with a value before it runs, and found by it from anywhere.
    let level = names.with_value(1);
    Player::start(()).name(level.via("Ann")).await.map_err(ExitReason::error)?;
    let ann = ServerRef::<Player>::via(&Names::named("players"), "Ann");
    let points = ann.score(3).await.or_exit();
    let (_, level_of_ann) = names.lookup(&"Ann").expect("she plays");
    println!("Ann has {points} points, with level {level_of_ann}");

    let second = Player::start(()).name(level.via("Ann")).await;
    if let Err(StartError::AlreadyStarted { .. }) = second {
        println!("there is a player called Ann already");
    }

    let bob = Player::start(()).name(level.via("Bob")).await.map_err(ExitReason::error)?;
    rooms.dispatch(&"garden", |listener, ()| listener.send(Said("it rains")));
    let listeners = rooms.lookup(&"garden").len();
    let heard = ann.heard().await.or_exit().join(", ");
    println!("in the garden: {listeners} listeners, and Ann hears: {heard}");

    // Who hears of an end finds nothing of it.
    let bob = bob.pid().expect("he plays");
    let gone = process::monitor(bob);
    process::kill(bob);
    receive! { Down { monitor, .. } if monitor == gone => () }
    let (players, listeners) = (names.count(), rooms.count());
    println!("Bob is gone, and so are his entries: {players} player, {listeners} listener");
    if Player::start(()).name(level.via("Bob")).await.is_ok() {
        println!("another Bob can come");
    }
    Ok(())
}
