//! A bulk run never delays an urgent result: a hundred ordinary messages wait for a peer that was down, five urgent
//! ones come behind them, and reach the peer before all but those that a connection already carried.

use anyhow::{Context, Result, ensure};
use palombe_load::smtp::Parameters;
use palombe_tests::palombe::Palombe;
use palombe_tests::{clients, mail, wait};
use serde_json::Value;
use std::time::{Duration, Instant};

const BULK: usize = 100;
const URGENT: usize = 5;
/// `relay.connections_max` of the sending operator.
const CONNECTIONS: usize = 4;
/// The retry calendar is one second, give or take an eighth: after this every entry is due.
const ALL_DUE: Duration = Duration::from_millis(1200);

#[test]
fn urgent_messages_pass_a_waiting_bulk_run() -> Result<()> {
    let mut alpha = Palombe::prepare("alpha")?;
    let mut beta = Palombe::prepare("beta")?;
    alpha.route("beta.mssante.test", beta.smtp());
    alpha.set("relay", "connections_max", &CONNECTIONS.to_string());
    alpha.set("relay", "connections_per_destination_max", &CONNECTIONS.to_string());
    alpha.set("relay", "connections_reserved_urgent", "1");
    alpha.set("relay", "host_down_secs", "1");
    alpha.set("submission", "messages_per_minute", "0");
    beta.set("interop", "messages_per_minute", "0");
    for operator in [&mut alpha, &mut beta] {
        operator.resume()?;
        operator.add_domain(&operator.domain())?;
    }
    let laboratory = alpha.add_bal("laboratoire")?;
    let ward = beta.add_bal("service")?;
    beta.stop()?;

    let account = alpha.account(&laboratory);
    let text = "x".repeat(32 * 1024);
    let submit = |id: String, mail_parameters: &str| {
        let message = mail::plain(&laboratory, &ward, &id, &text);
        let parameters = Parameters { mail: mail_parameters, rcpt: " NOTIFY=NEVER" };
        clients::submit(&account, &ward, &message, parameters)
    };
    for number in 0..BULK {
        submit(format!("bulk-{number}@alpha"), "")?;
    }
    for number in 0..URGENT {
        submit(format!("urgent-{number}@alpha"), " MT-PRIORITY=6")?; // RFC 6710
    }

    // Everything is due when alpha starts again, so that its order is the scheduler's alone.
    alpha.stop()?;
    let stopped = Instant::now();
    beta.resume()?;
    wait::until("every entry due", || Ok((stopped.elapsed() > ALL_DUE).then_some(())))?;
    alpha.resume()?;
    let arrivals = wait::until("all messages at beta", || {
        let arrivals = arrivals(&beta)?;
        Ok((arrivals.len() == BULK + URGENT).then_some(arrivals))
    })?;

    let places: Vec<usize> = (0..arrivals.len())
        .filter(|place| arrivals[*place].starts_with("<urgent-"))
        .map(|place| place + 1)
        .collect();
    println!("of {} arrivals, the urgent ones are at places {places:?}", arrivals.len());
    ensure!(places.len() == URGENT, "{arrivals:?}");
    // Only messages that already had a connection may come before an urgent one.
    let last = places.last().context("an urgent message")?;
    ensure!(*last <= URGENT + CONNECTIONS, "urgent messages came at places {places:?}");
    Ok(())
}

/// Message-IDs in the order in which beta accepted them.
fn arrivals(beta: &Palombe) -> Result<Vec<String>> {
    let event = ["journal", "list", "--event", "smtp.interop.accepted", "--json"];
    let lines: Value = serde_json::from_str(&beta.cli(&event)?)?;
    let lines = lines.as_array().context("a list of lines")?;
    Ok(lines.iter().filter_map(|line| Some(line["message_id"].as_str()?.to_owned())).collect())
}
