//! Thunderbird as Debian has it, on a screen of its own (Xvfb), with a profile of its own, driven by Marionette.
//!
//! The profile trusts the toy IGC-Santé and nothing is clicked by coordinates: each step is a function of
//! `tests/clients/thunderbird.js`, which asks Thunderbird's own code.

use crate::clients::Account;
use crate::marionette::Marionette;
use crate::process::{self, Running};
use crate::site::Site;
use crate::{pki, repo, wait};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Not the wrapper in `/usr/bin`, which looks for profiles of other versions.
const PROGRAM: &str = "/usr/lib/thunderbird/thunderbird";

/// What is missing on this machine.
pub fn missing() -> Option<String> {
    process::missing_programs(&["thunderbird", "Xvfb", "certutil"])
}

/// A running Thunderbird with one account; gone when dropped.
pub struct Thunderbird {
    marionette: Marionette,
    script: String,
    program: Running,
    _screen: Running,
}

impl Thunderbird {
    /// Starts it with an account whose host is `localhost`; nothing has connected yet.
    pub fn start(account: &Account, site: &Site) -> Result<Thunderbird> {
        let profile = profile(account, site)?;
        let (screen, display) = screen(site)?;
        let mut command = Command::new(PROGRAM);
        command.arg("--profile").arg(&profile).args(["--no-remote", "--marionette"]);
        command.arg("--remote-allow-system-access"); // scripts may reach the program itself
        command.env("DISPLAY", display).env("HOME", site.subfolder("home")?);
        command.env("LC_ALL", "C.UTF-8").env_remove("DBUS_SESSION_BUS_ADDRESS");
        command.env("MOZ_LOG", "IMAP:5,timestamp").env("MOZ_LOG_FILE", site.folder().join("gecko"));
        let log = site.folder().join("thunderbird.log");
        let mut program = Running::start("thunderbird", &mut command, &log)?;
        let port = wait::until("Thunderbird's port for Marionette", || {
            ensure!(program.is_running(), "Thunderbird stopped\n{}", process::tail(&program.log()));
            let text = std::fs::read_to_string(profile.join("MarionetteActivePort"));
            Ok(text.ok().and_then(|text| text.trim().parse().ok()))
        })?;
        let script = std::fs::read_to_string(repo::root().join("tests/clients/thunderbird.js"))?;
        let marionette = Marionette::connect(port)?;
        let mut thunderbird = Thunderbird { marionette, script, program, _screen: screen };
        let login = json!({ "user": account.address, "password": account.password });
        thunderbird.step("remember", login)?;
        thunderbird.until("isReady", json!({}), |ready| ready == &json!(true))?;
        Ok(thunderbird)
    }

    /// One step of the script; what it returns.
    pub fn step(&mut self, name: &str, argument: Value) -> Result<Value> {
        let body = format!("{}\nreturn await steps[{}](argument);", self.script, json!(name));
        self.marionette.run(&body, &argument).with_context(|| format!("step {name} {argument}"))
    }

    /// Asks a step again and again until its answer is as wanted; that answer.
    pub fn until(
        &mut self,
        name: &str,
        argument: Value,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait::until(&format!("{name} {argument}"), || {
            last = self.step(name, argument.clone())?;
            Ok(wanted(&last).then(|| last.clone()))
        });
        match found {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let path = repo::artefact("thunderbird-failure.png")?;
                self.screenshot(&path)?;
                let dialogs = self.step("dialogs", json!({}))?;
                let log = process::tail(&self.program.log());
                bail!("{error}; last: {last}; dialogues: {dialogs}; {}\n{log}", path.display())
            }
        }
    }

    /// Writes what its window shows.
    pub fn screenshot(&mut self, path: &Path) -> Result<()> {
        self.marionette.screenshot(path)
    }
}

/// A screen, and its name for `DISPLAY`: the first number that is free.
fn screen(site: &Site) -> Result<(Running, String)> {
    let told = site.folder().join("xvfb.log");
    let mut command = Command::new("Xvfb");
    command.args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"]);
    let mut screen = Running::start("Xvfb", &mut command, &told)?;
    let number = wait::until("the number of a screen", || {
        ensure!(screen.is_running(), "Xvfb stopped\n{}", process::tail(&screen.log()));
        let text = screen.log();
        let is_number = |line: &&str| !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit());
        Ok(text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(str::trim)
            .find(is_number)
            .map(str::to_owned))
    })?;
    Ok((screen, format!(":{number}")))
}

/// A profile with one account, which trusts the toy IGC-Santé.
fn profile(account: &Account, site: &Site) -> Result<PathBuf> {
    let profile = site.subfolder("thunderbird")?;
    let database = format!("sql:{}", profile.display());
    process::run(Command::new("certutil").args(["-N", "-d", &database, "--empty-password"]))?;
    let bundle = std::fs::read_to_string(pki::anchors())?;
    let end = "-----END CERTIFICATE-----";
    for (index, certificate) in bundle.split_inclusive(end).enumerate() {
        if !certificate.ends_with(end) {
            continue;
        }
        let name = format!("igc-sante-de-test-{index}");
        let file = site.write(&format!("{name}.pem"), certificate)?;
        let mut add = Command::new("certutil");
        add.args(["-A", "-d", &database, "-n", &name, "-t", "CT,,", "-i"]).arg(file);
        process::run(&mut add)?;
    }
    std::fs::write(profile.join("user.js"), preferences(account)?)?;
    Ok(profile)
}

fn preferences(account: &Account) -> Result<String> {
    ensure!(account.host == "localhost", "the profile is for localhost");
    let template = repo::root().join("tests/clients/thunderbird-profile.js");
    let text = std::fs::read_to_string(template)?;
    Ok(text
        .replace("ADDRESS", &account.address)
        .replace("IMAP_PORT", &account.imaps.port().to_string())
        .replace("SUBMISSION_PORT", &account.submission.port().to_string()))
}
