//! The disk of an operator fills up, by mail and by somebody else's file, while mail flows: replies are 452 or 451,
//! what was answered 250 is there, exact and once, what was refused is not; when space returns, mail flows again
//! without a restart.

use anyhow::{Context, Result, ensure};
use palombe_load::smtp::{Outcome, SmtpTarget};
use palombe_load::tls::client_config;
use palombe_tests::acknowledged::{Audit, Dice, Found, Ledger, Route, UidWatch, queued};
use palombe_tests::inbox::Inbox;
use palombe_tests::palombe::Palombe;
use palombe_tests::{clients, pki, process, skip_if_missing, wait};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const MIB: usize = 1024 * 1024;
/// So many refusals end a filling.
const REFUSALS: usize = 60;
/// No filling takes longer.
const FILLING: Duration = Duration::from_secs(60);

/// A small disk in memory; unmounted when dropped.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts it; `Err` holds the reason why this machine does not let us.
    fn mount(mebibytes: usize) -> Result<Result<SmallDisk, String>> {
        let folder = tempfile::Builder::new().prefix("palombe-disk-").tempdir()?;
        if !process::is_root() {
            return Ok(Err("mounting a small disk needs root".to_owned()));
        }
        let size = format!("size={mebibytes}m,mode=0755");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "palombe-disk-full"])
            .arg(folder.path())
            .output();
        Ok(match mounted {
            Ok(output) if output.status.success() => Ok(SmallDisk { folder }),
            Ok(output) => Err(format!(
                "no small disk can be mounted: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(error) => Err(format!("no small disk can be mounted: {error}")),
        })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file of somebody else.
    fn ballast(&self, name: &str, mebibytes: usize) -> Result<PathBuf> {
        let path = self.path().join(name);
        let mut file = File::create(&path)?;
        for _ in 0..mebibytes {
            file.write_all(&vec![1; MIB])?;
        }
        Ok(path)
    }
}

impl SmallDisk {
    /// What takes the room, for a failure.
    fn listing(&self) -> String {
        let mut shown = String::new();
        for (program, options) in [("df", ["-k", "--"]), ("ls", ["-lR", "--"])] {
            if let Ok(output) = Command::new(program).args(options).arg(self.path()).output() {
                shown += &String::from_utf8_lossy(&output.stdout);
            }
        }
        shown
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let umount =
            |lazy: &[&str]| Command::new("umount").args(lazy).arg(self.folder.path()).output();
        if !umount(&[]).is_ok_and(|output| output.status.success()) {
            let _ = umount(&["--lazy"]);
        }
    }
}

/// Alpha on the small disk, beta on a large one. The disk is unmounted after the servers have stopped.
struct House {
    alpha: Palombe,
    beta: Palombe,
    disk: SmallDisk,
    bals: Vec<String>,
    beta_bal: String,
    routes: Vec<Route>,
    ledger: Ledger,
    uids: UidWatch,
}

impl House {
    fn new(disk: SmallDisk, free_bytes_min: usize) -> Result<House> {
        let mut alpha = Palombe::prepare("alpha")?;
        let beta = Palombe::start("beta")?;
        let data = disk.path().join("data");
        alpha.set("server", "data_folder", &format!("\"{}\"", data.display()));
        alpha.set("store", "free_bytes_min", &free_bytes_min.to_string());
        for door in ["submission", "interop"] {
            alpha.set(door, "messages_per_minute", "0");
        }
        alpha.route("beta.mssante.test", beta.smtp());
        alpha.resume()?;
        alpha.add_domain(&alpha.domain())?;
        let bals = vec![alpha.add_bal("jeanne")?, alpha.add_bal("urgences")?];
        let beta_bal = beta.add_bal("marie")?;
        let interop = clients::operator_target("op-charge", alpha.smtp(), &alpha.hostname())?;
        let submission = SmtpTarget {
            address: alpha.submission(),
            server_name: alpha.hostname(),
            helo: "poste.invalid".to_owned(),
            tls: client_config(&pki::anchors(), None)?,
            login: Some((bals[0].clone(), alpha.password.clone())),
            pipelining: true,
        };
        let route = |target: &SmtpTarget, from: &str, to: Vec<Vec<String>>, large_once_in| Route {
            target: target.clone(),
            door: alpha.domain(),
            from: from.to_owned(),
            to,
            large_once_in,
        };
        let outside = "labo@charge.mssante.test";
        let routes = vec![
            route(&interop, outside, vec![bals.clone(), vec![bals[1].clone()]], 2),
            route(&interop, outside, vec![vec![bals[0].clone()]], 8),
            route(&submission, &bals[0], vec![vec![bals[1].clone()], bals.clone()], 3),
            route(
                &submission,
                &bals[0],
                vec![vec![beta_bal.clone()], vec![bals[1].clone(), beta_bal.clone()]],
                4,
            ),
        ];
        let (ledger, uids) = (Ledger::default(), UidWatch::default());
        Ok(House { alpha, beta, disk, bals, beta_bal, routes, ledger, uids })
    }

    /// Mail through every door until the disk has refused often; with `eater`, a file grows on it meanwhile.
    fn fill(&self, seed: u64, eater: Option<&Path>) -> Result<()> {
        let refused = AtomicUsize::new(0);
        let ended = AtomicBool::new(false);
        let deadline = Instant::now() + FILLING;
        let enough = || refused.load(Ordering::SeqCst) >= REFUSALS || Instant::now() >= deadline;
        std::thread::scope(|scope| {
            let eating = eater.map(|path| scope.spawn(|| eat(path, &ended)));
            let threads: Vec<_> = (0..)
                .zip(&self.routes)
                .map(|(number, route)| {
                    let (refused, enough) = (&refused, &enough);
                    scope.spawn(move || -> Result<()> {
                        let mut dice = Dice(seed * 100 + number);
                        let runtime =
                            tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                        let session = self.ledger.session(route, &mut dice, async |outcome| {
                            if matches!(outcome, Outcome::Refused(_)) {
                                refused.fetch_add(1, Ordering::SeqCst);
                            }
                            !enough()
                        });
                        runtime.block_on(session)
                    })
                })
                .collect();
            let answers: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
            ended.store(true, Ordering::SeqCst);
            if let Some(eating) = eating {
                eating.join().map_err(|_| anyhow::anyhow!("the eater panicked"))??;
            }
            for answer in answers {
                answer.map_err(|_| anyhow::anyhow!("a client panicked"))??;
            }
            anyhow::Ok(())
        })?;
        let refused = refused.load(Ordering::SeqCst);
        ensure!(refused >= REFUSALS, "the disk refused only {refused} times in {FILLING:?}");
        Ok(())
    }

    /// Space has returned: every door accepts again, by itself.
    fn recovers(&self, seed: u64) -> Result<()> {
        for (number, route) in (0..).zip(&self.routes) {
            let mut dice = Dice(seed * 100 + 50 + number);
            wait::until("mail accepted again", || {
                let mut accepted = 0;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(self.ledger.session(route, &mut dice, async |outcome| {
                    let good = matches!(outcome, Outcome::Accepted(_));
                    accepted += usize::from(good);
                    good && accepted < 5
                }))?;
                Ok((accepted == 5).then_some(()))
            })
            .map_err(|error| error.context(self.disk.listing()))?;
        }
        Ok(())
    }

    /// Every answer so far holds.
    fn check(&mut self, when: &str) -> Result<Audit> {
        let mut found = Found::default();
        found.queued = queued(&self.alpha)?;
        let mut problems = Vec::new();
        let at_alpha = self.bals.iter().map(|bal| (&self.alpha, bal));
        for (operator, address) in at_alpha.chain([(&self.beta, &self.beta_bal)]) {
            let content = Inbox::open(operator, address)?.read()?;
            problems.extend(self.uids.note(address, &content));
            found.add(&self.ledger, address, &content);
        }
        let (audit, more) = self.ledger.audit(&found);
        problems.extend(more);
        let codes = self.ledger.refusals();
        println!("{when}: {audit:?}, refusals {codes:?}");
        let log = process::tail(&self.alpha.log());
        ensure!(problems.is_empty(), "{when}: {audit:?}\n{}\n{log}", problems.join("\n"));
        ensure!(codes.keys().all(|code| matches!(code, 451 | 452)), "{codes:?}");
        ensure!(audit.unanswered == 0, "{when}: {audit:?}");
        Ok(audit)
    }

    /// How often the engine had to be opened again after a failed write.
    fn reopened(&self) -> Result<u64> {
        let status = self.alpha.cli(&["--json", "status"])?;
        let status: serde_json::Value = serde_json::from_str(&status)?;
        status["store"]["reopened"].as_u64().context("no such number in the status")
    }

    /// The queue runs dry; then stopped, checked at rest, started, and compared once more.
    fn finish(mut self) -> Result<()> {
        wait::until("an empty queue", || Ok(queued(&self.alpha)?.is_empty().then_some(())))?;
        self.alpha.cli(&["store", "check"])?;
        let audit = self.check("at the end")?;
        self.alpha.stop()?;
        self.alpha.cli(&["store", "check"])?;
        self.alpha.resume()?;
        let again = self.check("after a restart")?;
        ensure!(audit.acknowledged == again.acknowledged, "{audit:?} {again:?}");
        self.alpha.stop()
    }
}

/// Writes until there is no room, and again whenever some has returned.
fn eat(path: &Path, ended: &AtomicBool) -> Result<()> {
    let mut file = File::create(path)?;
    let bite = vec![2; 64 * 1024];
    while !ended.load(Ordering::SeqCst) {
        match file.write(&bite) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                std::thread::yield_now()
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The reserve (`store.free_bytes_min`) refuses before the engine meets the end of the disk.
#[test]
fn below_the_reserve_mail_waits_and_the_engine_never_notices() -> Result<()> {
    let disk = SmallDisk::mount(448)?;
    skip_if_missing!(disk.as_ref().err());
    let Ok(disk) = disk else { return Ok(()) };
    let mut house = House::new(disk, 96 * MIB)?;
    let ballast = house.disk.ballast("ballast", 160)?;
    house.fill(1, None)?;
    house.check("below the reserve, by mail")?;
    std::fs::remove_file(ballast)?;
    house.recovers(1)?;
    let rest = house.disk.ballast("ballast", 150)?;
    house.fill(2, None)?;
    house.check("below the reserve, by a file")?;
    std::fs::remove_file(rest)?;
    house.recovers(2)?;
    let codes = house.ledger.refusals();
    ensure!(codes.keys().all(|code| *code == 452), "{codes:?}");
    ensure!(house.reopened()? == 0, "the engine met a full disk in spite of the reserve");
    house.finish()
}

/// Without a reserve worth its name, the engine's own writes fail.
#[test]
fn a_write_that_fails_loses_nothing() -> Result<()> {
    let disk = SmallDisk::mount(320)?;
    skip_if_missing!(disk.as_ref().err());
    let Ok(disk) = disk else { return Ok(()) };
    let mut house = House::new(disk, 4096)?;
    let ballast = house.disk.ballast("ballast", 100)?;
    house.fill(3, None)?;
    house.check("full, by mail")?;
    std::fs::remove_file(ballast)?;
    house.recovers(3)?;
    let eaten = house.disk.path().join("eaten");
    house.fill(4, Some(&eaten))?;
    house.check("full, by a file")?;
    std::fs::remove_file(eaten)?;
    house.recovers(4)?;
    ensure!(house.reopened()? > 0, "no write of the engine failed");
    house.finish()
}
