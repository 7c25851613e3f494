//! The command line.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::plan::Router;
use super::resp::Limits;
use super::session::Settings;

/// The ibeam command; without a subcommand it starts the demo, as `ibeam demo` does
#[derive(Debug, Parser)]
#[command(name = "ibeam", version, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<CliCommand>,
    #[command(flatten)]
    demo: DemoOptions,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Start the demo: a key-value and pub/sub server that speaks Redis' protocol (the default)
    Demo(DemoOptions),
}

impl Cli {
    /// What to start.
    pub(crate) fn into_demo(self) -> DemoOptions {
        match self.command {
            Some(CliCommand::Demo(options)) => options,
            None => self.demo,
        }
    }
}

/// How the demo server is to run.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct DemoOptions {
    /// The address to listen on. Port 0 takes a free one and prints it
    ///
    /// There is no password, and DEBUG CRASH and SHUTDOWN are open to everyone who can connect: listen on a public
    /// address only where that does not matter.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:6399")]
    pub(crate) listen: SocketAddr,

    /// How many processes share the keys [default: the number of cores]
    ///
    /// More shards than cores do not make it faster; but a shard that crashes takes fewer keys with it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    shards: Option<u16>,

    /// How many threads run processes [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,

    /// How many clients may be connected; the next one gets an error and is closed
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_clients: u32,

    /// The longest argument (key, value, message) that is accepted, and the longest value that APPEND makes
    ///
    /// A longer one is a protocol error: the client is told and disconnected. Redis calls it proto-max-bulk-len.
    #[arg(long, value_name = "BYTES", default_value_t = ByteSize(512 << 20))]
    pub(crate) max_bulk: ByteSize,

    /// The most arguments that one request may have; more are a protocol error
    #[arg(long, value_name = "N", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_args: u32,

    /// The most bytes that all arguments of one request may have together, 32 more counted for each argument
    ///
    /// What a single client can make the server keep at worst before its request is complete.
    #[arg(long, value_name = "BYTES", default_value_t = ByteSize(1 << 30))]
    pub(crate) max_request: ByteSize,

    /// How many bytes of replies may wait for a client that reads slowly before its next requests have to wait
    ///
    /// One reply or one pipeline may exceed it; while it is exceeded nothing more is read from the client.
    #[arg(long, value_name = "BYTES", default_value_t = ByteSize(1 << 20))]
    pub(crate) output_buffer: ByteSize,

    /// How many bytes of published messages may wait for a subscriber that reads slowly before it is disconnected
    ///
    /// Messages cannot be held back without holding back whoever publishes, so here Redis too closes the connection
    /// (client-output-buffer-limit pubsub).
    #[arg(long, value_name = "BYTES", default_value_t = ByteSize(32 << 20))]
    pub(crate) pubsub_buffer: ByteSize,

    /// How long a stop (Ctrl-C, SIGTERM, SHUTDOWN) waits for requests in flight
    #[arg(long, value_name = "TIME", default_value_t = Time(Duration::from_secs(10)))]
    pub(crate) shutdown_timeout: Time,

    /// Close a connection from which no request came for so long; 0: never. Subscribers are not closed
    #[arg(long, value_name = "TIME", default_value_t = Time(Duration::ZERO))]
    pub(crate) idle_timeout: Time,
}

impl DemoOptions {
    /// How many shards.
    pub(crate) fn shards(&self) -> usize {
        self.shards.map_or_else(cores, usize::from)
    }

    /// How many worker threads.
    pub(crate) fn workers(&self) -> usize {
        self.workers.map_or_else(cores, usize::from)
    }

    /// What a connection's decoder accepts.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            bulk_bytes_max: self.max_bulk.0,
            args_max: self.max_args as usize,
            request_bytes_max: self.max_request.0,
        }
    }

    /// What all connections share. `listening` is the address with its actual port.
    ///
    /// The settings' names are Redis', so that `redis-benchmark` and others find what they ask for.
    pub(crate) fn settings(&self, listening: SocketAddr) -> Settings {
        Settings {
            router: Router::new(self.shards()),
            config: vec![
                ("appendonly", "no".into()),
                ("bind", listening.ip().to_string()),
                ("client-query-buffer-limit", self.max_request.0.to_string()),
                ("databases", "1".into()),
                ("maxclients", self.max_clients.to_string()),
                ("maxmemory", "0".into()),
                ("maxmemory-policy", "noeviction".into()),
                ("port", listening.port().to_string()),
                ("proto-max-bulk-len", self.max_bulk.0.to_string()),
                ("save", String::new()),
                ("shutdown-timeout", self.shutdown_timeout.0.as_secs().to_string()),
                ("timeout", self.idle_timeout.0.as_secs().to_string()),
            ],
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A number of bytes: `4096`, `64k`, `1MiB`. Units are powers of 1024, in any case, with or without `b` or `ib`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSize(pub(crate) usize);

const BYTE_UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected bytes, such as `4096`, `64KiB` or `1GiB`, got `{text}`");
        let (number, unit) = number_and_unit(text).ok_or_else(expected)?;
        let unit = unit.to_ascii_lowercase();
        let shift = match &unit[..] {
            "" | "b" => 0,
            unit => BYTE_UNITS
                .iter()
                .map(|(name, shift)| (name.to_ascii_lowercase(), shift))
                .find(|(name, _)| [&name[..], &name[..1], &format!("{}b", &name[..1])].contains(&unit))
                .map(|(_, shift)| *shift)
                .ok_or_else(expected)?,
        };
        let bytes = number.checked_mul(1 << shift).and_then(|bytes| usize::try_from(bytes).ok());
        bytes
            .filter(|bytes| *bytes <= isize::MAX as usize)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is too much"))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest =
            BYTE_UNITS.iter().rev().find(|(_, shift)| self.0 > 0 && self.0.is_multiple_of(1 << shift));
        match largest {
            Some((name, shift)) => write!(f, "{}{name}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A length of time: `500ms`, `10s`, `5m`, `1h`; a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a time, such as `500ms`, `10s` or `5m`, got `{text}`");
        let (number, unit) = number_and_unit(text).ok_or_else(expected)?;
        let milliseconds = match unit {
            "ms" => number,
            "" | "s" => number.saturating_mul(1000),
            "m" => number.saturating_mul(60_000),
            "h" => number.saturating_mul(3_600_000),
            _ => return Err(expected()),
        };
        Ok(Self(Duration::from_millis(milliseconds)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0 => f.write_str("0"),
            whole if whole % 1000 == 0 => write!(f, "{}s", whole / 1000),
            milliseconds => write!(f, "{milliseconds}ms"),
        }
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<DemoOptions, clap::Error> {
        Cli::try_parse_from(line.split_ascii_whitespace()).map(Cli::into_demo)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_given_is_the_demo_with_defaults() {
        let options = parse("ibeam").expect("valid");
        assert_eq!(options, parse("ibeam demo").expect("valid"));
        assert_eq!(options.listen.to_string(), "127.0.0.1:6399");
        assert_eq!(options.limits(), Limits::default());
        assert_eq!((options.shards(), options.workers()), (cores(), cores()));
        assert_eq!(options.max_clients, 10_000);
        assert_eq!((options.output_buffer.0, options.pubsub_buffer.0), (1 << 20, 32 << 20));
        assert_eq!((options.shutdown_timeout.0.as_secs(), options.idle_timeout.0.as_secs()), (10, 0));
    }

    #[test]
    fn options_stand_with_and_without_the_subcommand() {
        let line = "--listen [::1]:0 --shards 3 --workers 2 --max-clients 5 --max-bulk 1MiB --max-args 100 \
                    --max-request 2m --output-buffer 64k --pubsub-buffer 1g --shutdown-timeout 500ms --idle-timeout 5m";
        let options = parse(&format!("ibeam {line}")).expect("valid");
        assert_eq!(options, parse(&format!("ibeam demo {line}")).expect("valid"));
        assert_eq!((options.shards(), options.workers()), (3, 2));
        assert_eq!(
            options.limits(),
            Limits { bulk_bytes_max: 1 << 20, args_max: 100, request_bytes_max: 2 << 20 }
        );
        let settings = options.settings("[::1]:7000".parse().expect("an address"));
        assert_eq!(settings.router.shards(), 3);
        for expected in [("port", "7000"), ("timeout", "300"), ("save", ""), ("maxclients", "5")] {
            assert!(
                settings.config.iter().any(|(name, value)| (*name, &value[..]) == expected),
                "{expected:?}"
            );
        }
        assert!(settings.config.iter().all(|(name, _)| *name == name.to_ascii_lowercase()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "ibeam --shards 0",
            "ibeam --workers 0",
            "ibeam --max-clients 0",
            "ibeam --max-args 0",
            "ibeam --listen localhost",
            "ibeam --max-bulk 1x",
            "ibeam --max-bulk 99999999999TiB",
            "ibeam --idle-timeout soon",
            "ibeam --listen 127.0.0.1:1 demo",
            "ibeam nope",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn every_option_is_explained() {
        for argument in Cli::command().get_arguments() {
            assert!(
                argument.get_help().is_some_and(|help| !help.to_string().is_empty()),
                "{}",
                argument.get_id()
            );
        }
    }

    #[test]
    fn bytes_and_times() {
        for (text, bytes, shown) in [
            ("0", 0, "0"),
            ("1000", 1000, "1000"),
            ("4096", 4096, "4KiB"),
            ("64k", 64 << 10, "64KiB"),
            ("64 KB", 64 << 10, "64KiB"),
            ("1MiB", 1 << 20, "1MiB"),
            ("512mb", 512 << 20, "512MiB"),
            ("1024m", 1 << 30, "1GiB"),
            ("2T", 2 << 40, "2TiB"),
        ] {
            let size: ByteSize = text.parse().expect(text);
            assert_eq!((size.0, &size.to_string()[..]), (bytes, shown));
        }
        for (text, milliseconds, shown) in [
            ("0", 0, "0"),
            ("10", 10_000, "10s"),
            ("1500ms", 1500, "1500ms"),
            ("5m", 300_000, "300s"),
            ("1h", 3_600_000, "3600s"),
        ] {
            let time: Time = text.parse().expect(text);
            assert_eq!((time.0.as_millis(), &time.to_string()[..]), (milliseconds, shown));
        }
        for text in ["", "k", "-1", "1.5k", "1kk", "1kib b"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        for text in ["", "s", "-1s", "1.5s", "1d"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
