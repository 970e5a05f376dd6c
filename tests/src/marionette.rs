//! Marionette, the remote control that Gecko programs carry: length-prefixed JSON over a loopback port
//! (firefox-source-docs.mozilla.org/testing/marionette/Protocol.html).

use crate::wait::PATIENCE;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

/// Octets of one answer: a screenshot is the largest.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A session in which scripts run with the rights of the program itself.
pub struct Marionette {
    stream: BufReader<TcpStream>,
    id: u64,
}

impl Marionette {
    /// Connects, begins a session, and enters the program's own context.
    pub fn connect(port: u16) -> Result<Marionette> {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let mut session = Marionette { stream: BufReader::new(tcp), id: 0 };
        let greeting = session.read()?;
        ensure!(greeting["marionetteProtocol"] == 3, "another protocol: {greeting}");
        session.ask("WebDriver:NewSession", json!({}))?;
        session.ask("Marionette:SetContext", json!({ "value": "chrome" }))?;
        let script_milliseconds = PATIENCE.as_millis();
        session.ask("WebDriver:SetTimeouts", json!({ "script": script_milliseconds as u64 }))?;
        Ok(session)
    }

    /// Runs the body of an asynchronous function in the program; what it returns.
    pub fn run(&mut self, body: &str, arguments: &Value) -> Result<Value> {
        let script = format!(
            "const told = arguments[arguments.length - 1];
             (async (argument) => {{ {body} }})(arguments[0]).then(
               value => told({{ value: value === undefined ? null : value }}),
               error => told({{ error: `${{error}}\\n${{error.stack}}` }}));"
        );
        let parameters = json!({ "script": script, "args": [arguments], "sandbox": "system" });
        let mut answer = self.ask("WebDriver:ExecuteAsyncScript", parameters)?;
        if let Some(error) = answer["value"]["error"].as_str() {
            bail!("{error}");
        }
        Ok(answer["value"]["value"].take())
    }

    /// Writes what the program's window shows as PNG.
    pub fn screenshot(&mut self, path: &Path) -> Result<()> {
        let answer = self.ask("WebDriver:TakeScreenshot", json!({ "full": true }))?;
        let base64 = answer["value"].as_str().context("no picture")?;
        let png = base64::engine::general_purpose::STANDARD.decode(base64)?;
        std::fs::write(path, png).with_context(|| path.display().to_string())
    }

    fn ask(&mut self, command: &str, parameters: Value) -> Result<Value> {
        self.id += 1;
        let message = json!([0, self.id, command, parameters]).to_string();
        write!(self.stream.get_mut(), "{}:{message}", message.len())?;
        let mut answer = self.read().with_context(|| command.to_owned())?;
        ensure!(answer[1] == self.id, "an answer to something else: {answer}");
        if !answer[2].is_null() {
            bail!("{command}: {}", answer[2]);
        }
        Ok(answer[3].take())
    }

    fn read(&mut self) -> Result<Value> {
        let mut length = Vec::new();
        (&mut self.stream).take(20).read_until(b':', &mut length)?;
        let length = std::str::from_utf8(&length)?.strip_suffix(':').context("closed")?;
        let length: usize = length.parse()?;
        ensure!(length <= ANSWER_BYTES_MAX, "an answer of {length} octets");
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }
}
