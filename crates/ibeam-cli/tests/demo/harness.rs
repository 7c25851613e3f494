//! Starting the server, and a client that speaks raw RESP.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// `ibeam` with these arguments, not started yet.
pub(crate) fn ibeam(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ibeam"));
    // A backtrace of each intended crash would take longer than the crash.
    command.args(args).env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) greeting: String,
    pid: Pid,
    ended: mpsc::Receiver<ExitStatus>,
    status: Option<ExitStatus>,
    log: Arc<Mutex<String>>,
    collector: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts it on a free port and waits until it says that it listens.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = ibeam(args)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let pid = Pid::from_child(&child);
        let log = Arc::new(Mutex::new(String::new()));
        let collector = Some(collect(&mut child, &log));
        let mut greeting = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        while !greeting.contains("explains every option") {
            let read = stdout.read_line(&mut greeting).expect("text");
            assert!(read > 0, "it ended: {greeting}{}", log.lock().unwrap());
        }
        let address = greeting.strip_prefix("ibeam demo listens on ").and_then(|rest| rest.split(' ').next());
        let address = address.and_then(|address| address.parse().ok()).expect("an address comes first");
        let (tell, ended) = mpsc::channel();
        thread::spawn(move || tell.send(child.wait().expect("it can be waited for")));
        Self { address, greeting, pid, ended, status: None, log, collector }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(TcpStream::connect(self.address).expect("it listens"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("it runs");
    }

    /// Waits for the end, and for the log's: then [`log`](Self::log) is all that it ever wrote.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.ended.recv_timeout(PATIENCE).expect("it ends in time");
        self.status = Some(status);
        if let Some(collector) = self.collector.take() {
            collector.join().expect("it only reads");
        }
        status
    }

    /// Stops it as an operator would. All that it wrote to stderr, from start to end.
    #[track_caller]
    pub(crate) fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        self.wait_for_success();
        self.log()
    }

    #[track_caller]
    pub(crate) fn wait_for_success(&mut self) {
        let status = self.wait();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// What has come from its stderr so far. That is later than what its clients see: a running server is asked with
    /// [`until_logged`](Self::until_logged), and that something is not there is known only after [`wait`](Self::wait).
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has written `words` to stderr.
    #[track_caller]
    pub(crate) fn until_logged(&self, words: &str) {
        until(&format!("{words:?} in the log"), || self.log().contains(words).then_some(()));
    }

    /// Its resident memory in bytes; 0 where the system does not say.
    pub(crate) fn memory_bytes(&self) -> usize {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.pid.as_raw_nonzero()));
        let pages = statm.ok().and_then(|statm| statm.split(' ').nth(1)?.parse::<usize>().ok());
        pages.unwrap_or(0) * 4096
    }

    /// Lowers its limit of open files.
    #[cfg(target_os = "linux")]
    pub(crate) fn limit_files(&self, files: u64) {
        use rustix::process::{Resource, Rlimit, prlimit};
        let limit = Rlimit { current: Some(files), maximum: Some(files) };
        prlimit(Some(self.pid), Resource::Nofile, limit).expect("it is our child");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.status.is_none() && kill_process(self.pid, Signal::KILL).is_ok() {
            let _ended = self.ended.recv_timeout(PATIENCE);
        }
    }
}

/// Its end is the log's end.
fn collect(child: &mut Child, log: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let (stderr, log) = (child.stderr.take().expect("piped"), Arc::clone(log));
    thread::spawn(move || {
        let (mut stderr, mut line) = (BufReader::new(stderr), Vec::new());
        while stderr.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// Asks again until the answer is `Some`.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < give_up, "still not: {what}");
        thread::yield_now();
    }
}

/// A reply, displayed as `+simple`, `-error`, `:1`, `text`, `nil` or `[a b]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(text) => write!(f, "+{text}"),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Integer(number) => write!(f, ":{number}"),
            Self::Bulk(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Nil => f.write_str("nil"),
            Self::Array(items) => {
                let items: Vec<_> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(" "))
            }
        }
    }
}

/// A connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// A request as clients send it.
pub(crate) fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A request of words without spaces.
pub(crate) fn line(words: &str) -> Vec<u8> {
    request(&words.split(' ').map(str::as_bytes).collect::<Vec<_>>())
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
        stream.set_nodelay(true).expect("a socket");
        Self { stream: BufReader::new(stream) }
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("it reads");
    }

    /// The next reply; `None` at the end of the stream.
    ///
    /// # Errors
    /// The connection was reset, or ended within a reply.
    pub(crate) fn try_read(&mut self) -> io::Result<Option<Reply>> {
        if self.stream.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut head = String::new();
        self.stream.read_line(&mut head)?;
        let Some(head) = head.strip_suffix("\r\n") else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        let number = || head[1..].parse::<i64>().map_err(io::Error::other);
        Ok(Some(match head.as_bytes()[0] {
            b'+' => Reply::Simple(head[1..].to_owned()),
            b'-' => Reply::Error(head[1..].to_owned()),
            b':' => Reply::Integer(number()?),
            b'$' | b'*' if number()? < 0 => Reply::Nil,
            b'$' => {
                let mut bytes = vec![0; number()? as usize + 2];
                self.stream.read_exact(&mut bytes)?;
                assert!(bytes.ends_with(b"\r\n"));
                bytes.truncate(bytes.len() - 2);
                Reply::Bulk(bytes)
            }
            b'*' => {
                let item = |_| self.try_read()?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
                Reply::Array((0..number()?).map(item).collect::<io::Result<_>>()?)
            }
            other => panic!("a reply starts with {:?}", char::from(other)),
        }))
    }

    #[track_caller]
    pub(crate) fn read(&mut self) -> Reply {
        self.try_read().expect("a reply").expect("a reply, not the end")
    }

    /// Sends words without spaces; the reply as text.
    #[track_caller]
    pub(crate) fn ask(&mut self, words: &str) -> String {
        self.send(&line(words));
        self.read().to_string()
    }

    #[track_caller]
    pub(crate) fn check(&mut self, words: &str, reply: &str) {
        assert_eq!(self.ask(words), reply, "{words}");
    }

    /// The server closes without another word.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        assert_eq!(self.try_read().expect("the end, not a reset"), None);
    }
}
