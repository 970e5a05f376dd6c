//! Servers that a test starts, and ends: by their own process id only.

use crate::wait;
use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// A server; stopped when dropped.
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it with both outputs in `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Running> {
        let out = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Running { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map_or_else(
            |error| format!("{}: {error}", self.log.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Waits until it accepts connections; an early death is an error that shows its last words.
    pub fn wait_listening(&mut self, address: SocketAddr) -> Result<()> {
        let waiting = format!("{} on {address}", self.name);
        let answered = wait::until(&waiting, || {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} stopped ({status})", self.name);
            }
            Ok(TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok())
        });
        answered.map(drop).map_err(|error| anyhow!("{error}\n{}", tail(&self.log())))
    }

    /// Is it still there?
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end (SIGTERM), waits, and insists (SIGKILL) after a minute.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        let name = self.name.clone();
        let ended = wait::until(&name, || Ok(self.child.try_wait()?));
        match ended {
            Ok(status) => {
                self.end_group()?;
                Ok(status)
            }
            Err(_) => {
                self.kill()?;
                bail!("{name} did not stop when asked\n{}", tail(&self.log()))
            }
        }
    }

    /// SIGKILL, now.
    pub fn kill(&mut self) -> Result<()> {
        let _ = self.child.kill();
        self.child.wait()?;
        self.end_group()
    }

    /// Ends what the server started and left behind: a child of Postfix may still hold the listening socket.
    fn end_group(&self) -> Result<()> {
        let group = self.pid()?;
        if kill_process_group(group, Signal::KILL).is_ok() {
            wait::until("the end of a process group", || {
                Ok(test_kill_process_group(group).is_err().then_some(()))
            })?;
        }
        Ok(())
    }

    fn pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("pid")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid()?, signal)?;
        Ok(())
    }

    /// Memory of the process and all its descendants, octets: shared pages are divided among those that share them.
    pub fn memory_bytes(&self) -> u64 {
        tree(self.child.id()).into_iter().map(memory_of).sum()
    }

    /// Memory of this one process as the kernel counts it (proc(5), `VmRSS` and `VmHWM`).
    pub fn resident(&self) -> Result<Resident> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib: Option<u64> =
                line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            kib.map(|kib| kib * 1024).with_context(|| format!("{name} of {}", self.name))
        };
        Ok(Resident { now_bytes: field("VmRSS:")?, highest_bytes: field("VmHWM:")? })
    }
}

/// Memory of one process.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    /// At this moment, octets.
    pub now_bytes: u64,
    /// The most that it ever was, octets.
    pub highest_bytes: u64,
}

impl Running {
    /// Processor time of the process and all its descendants, also of those that ended, seconds.
    pub fn cpu_seconds(&self) -> f64 {
        tree(self.child.id()).into_iter().map(cpu_of).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stop().is_err() {
            let _ = self.kill();
        }
    }
}

/// Runs a command to its end; a failure shows what it printed.
pub fn run(command: &mut Command) -> Result<Output> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| shown.clone())?;
    if !output.status.success() {
        bail!(
            "{shown}: {}\n{}{}",
            output.status,
            tail(&String::from_utf8_lossy(&output.stdout)),
            tail(&String::from_utf8_lossy(&output.stderr))
        );
    }
    Ok(output)
}

/// What is missing of these programs, for a skip line.
pub fn missing_programs(programs: &[&str]) -> Option<String> {
    let folders = std::env::var("PATH").unwrap_or_default();
    let found = |program: &str| {
        folders
            .split(':')
            .chain(["/usr/sbin"])
            .any(|folder| Path::new(folder).join(program).is_file())
    };
    let missing: Vec<&str> = programs.iter().filter(|program| !found(program)).copied().collect();
    (!missing.is_empty())
        .then(|| format!("not installed: {} (script/bootstrap test)", missing.join(", ")))
}

/// Is this process the super-user?
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The last lines of a text.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].iter().map(|line| format!("    {line}\n")).collect()
}

/// A process and its descendants.
fn tree(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // pid (name) state parent …: the name may hold anything, so read after its last parenthesis.
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![root];
    let mut index = 0;
    while index < found.len() {
        let parent = found[index];
        found.extend(
            parents.iter().filter(|(_, above)| *above == parent).map(|(pid, _): &(u32, u32)| pid),
        );
        index += 1;
    }
    found
}

fn memory_of(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let kib = rollup.lines().find_map(|line| {
        line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    kib.unwrap_or(0) * 1024
}

/// Its own time and that of its children that ended, seconds.
pub fn cpu_of(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // proc(5): utime, stime, cutime, cstime are fields 14 to 17; 3 is the first after the name.
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0.0 };
    let ticks =
        rest.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / rustix::param::clock_ticks_per_second() as f64
}
