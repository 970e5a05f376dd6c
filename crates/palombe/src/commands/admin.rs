//! Commands that ask the running server: domain, bal, queue, journal, status.

use super::show;
use crate::cli::{BalAdd, BalCommand, DomainCommand, JournalList, MemberCommand, QueueCommand};
use crate::client::{Client, query, segment};
use crate::table::{print_object, print_rows};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::io::{IsTerminal, Read};
use std::path::Path;

/// Octets read of a password file at most.
const PASSWORD_FILE_BYTES_MAX: u64 = 2048;

/// `palombe status`
pub async fn status(client: &Client, json: bool) -> anyhow::Result<()> {
    let value = client.get("/v1/status").await?;
    show(json, &value, print_object)
}

/// `palombe domain …`
pub async fn domain(client: &Client, json: bool, command: DomainCommand) -> anyhow::Result<()> {
    let columns = ["name", "status", "created_at"];
    let path = |name: &str| format!("/v1/domains/{}", segment(name));
    match command {
        DomainCommand::Add(n) => {
            let value = client.post("/v1/domains", &json!({ "name": n.name })).await?;
            show(json, &value, |v| println!("hosted: {}", text(v, "name")))
        }
        DomainCommand::List => {
            let value = client.get("/v1/domains").await?;
            show(json, &value, |v| print_rows(v, &columns))
        }
        DomainCommand::Show(n) => {
            let value = client.get(&path(&n.name)).await?;
            show(json, &value, print_object)
        }
        DomainCommand::Suspend(n) => verb(client, json, &path(&n.name), "suspend").await,
        DomainCommand::Resume(n) => verb(client, json, &path(&n.name), "resume").await,
        DomainCommand::Delete(n) => {
            let value = client.delete(&path(&n.name)).await?;
            show(json, &value, |_| println!("deleted: {}", n.name))
        }
    }
}

/// `palombe bal …`
pub async fn bal(client: &Client, json: bool, command: BalCommand) -> anyhow::Result<()> {
    let columns = ["address", "kind", "status", "messages", "used_bytes", "quota_bytes", "label"];
    let path = |address: &str| format!("/v1/bals/{}", segment(address));
    match command {
        BalCommand::Add(add) => bal_add(client, json, add).await,
        BalCommand::List { domain } => {
            let value = client.get(&format!("/v1/bals{}", query(&[("domain", domain)]))).await?;
            show(json, &value, |v| print_rows(v, &columns))
        }
        BalCommand::Show(a) => {
            let value = client.get(&path(&a.address)).await?;
            show(json, &value, print_object)
        }
        BalCommand::Suspend(a) => verb(client, json, &path(&a.address), "suspend").await,
        BalCommand::Resume(a) => verb(client, json, &path(&a.address), "resume").await,
        BalCommand::Password { address, password_file } => {
            let body = json!({ "password": read_password(&password_file)? });
            let value = client.post(&format!("{}/password", path(&address)), &body).await?;
            show(json, &value, |_| println!("password changed: {address}"))
        }
        BalCommand::Member(command) => member(client, json, command).await,
        BalCommand::Sharing { address, seen } => {
            let path = format!("{}/sharing", path(&address));
            let value = match seen {
                Some(seen) => client.post(&path, &json!({ "seen": seen })).await?,
                None => client.get(&path).await?,
            };
            show(json, &value, print_object)
        }
        BalCommand::Delete { address, yes } => {
            confirm(yes, &format!("Delete {address} and its content for ever?"))?;
            let value = client.delete(&path(&address)).await?;
            show(json, &value, |_| println!("deleted: {address}"))
        }
    }
}

/// `palombe bal member …`
async fn member(client: &Client, json: bool, command: MemberCommand) -> anyhow::Result<()> {
    let path = |address: &str| format!("/v1/bals/{}/members", segment(address));
    match command {
        MemberCommand::Add { address, member, rights } => {
            let body = json!({ "member": member, "rights": rights });
            let value = client.post(&path(&address), &body).await?;
            show(json, &value, |v| println!("member of {address}: {}", text(v, "member")))
        }
        MemberCommand::List(a) => {
            let value = client.get(&path(&a.address)).await?;
            show(json, &value, |v| print_rows(v, &["member", "rights", "since"]))
        }
        MemberCommand::Remove { address, member } => {
            let path = format!("{}/{}", path(&address), segment(&member));
            let value = client.delete(&path).await?;
            show(json, &value, |_| println!("no longer a member of {address}: {member}"))
        }
    }
}

async fn bal_add(client: &Client, json: bool, add: BalAdd) -> anyhow::Result<()> {
    let password = add.password_file.as_deref().map(read_password).transpose()?;
    let body = json!({
        "address": add.address,
        "kind": add.kind,
        "label": add.label,
        "liste_rouge": add.liste_rouge,
        "quota_bytes": add.quota_bytes,
        "password": password,
    });
    let value = client.post("/v1/bals", &body).await?;
    show(json, &value, |v| println!("created: {} ({})", text(v, "address"), text(v, "kind")))
}

/// `palombe queue …`
pub async fn queue(client: &Client, json: bool, command: QueueCommand) -> anyhow::Result<()> {
    let columns = [
        "id",
        "state",
        "destination",
        "sender",
        "recipients",
        "size",
        "attempts",
        "next_due",
        "last_reply",
    ];
    let path = |id: &str| format!("/v1/queue/{}", segment(id));
    match command {
        QueueCommand::List { domain, limit } => {
            let pairs = [("domain", domain), ("limit", Some(limit.to_string()))];
            let value = client.get(&format!("/v1/queue{}", query(&pairs))).await?;
            show(json, &value, |v| print_rows(v, &columns))
        }
        QueueCommand::Show(e) => {
            let value = client.get(&path(&e.id)).await?;
            show(json, &value, print_object)
        }
        QueueCommand::Retry(e) => verb(client, json, &path(&e.id), "retry").await,
        QueueCommand::Hold(e) => verb(client, json, &path(&e.id), "hold").await,
        QueueCommand::Release(e) => verb(client, json, &path(&e.id), "release").await,
        QueueCommand::Drop { id, yes } => {
            confirm(yes, &format!("Give up {id} without telling its sender?"))?;
            let value = client.delete(&path(&id)).await?;
            show(json, &value, |_| println!("dropped: {id}"))
        }
    }
}

/// `palombe journal list`
pub async fn journal(client: &Client, json: bool, list: JournalList) -> anyhow::Result<()> {
    let pairs = [
        ("bal", list.bal),
        ("message_id", list.message_id),
        ("ip", list.ip),
        ("domain", list.domain),
        ("rule", list.rule),
        ("event", list.event),
        ("from", list.from),
        ("to", list.to),
        ("limit", Some(list.limit.to_string())),
    ];
    let value = client.get(&format!("/v1/journal{}", query(&pairs))).await?;
    let columns = ["at", "event", "outcome", "rule", "domain", "message_id", "queue"];
    show(json, &value, |v| print_rows(v, &columns))
}

/// `palombe journal verify`
pub async fn journal_verify(client: &Client, json: bool) -> anyhow::Result<()> {
    let proof = client.get("/v1/journal/proof").await?;
    let problems = proof["problems"].as_array().map_or(0, Vec::len);
    show(json, &proof, |proof| {
        print_object(proof);
        if problems == 0 {
            println!("the journal is what was written");
        }
    })?;
    anyhow::ensure!(problems == 0, "the journal was tampered with: {problems} problems");
    Ok(())
}

/// `palombe reload`
pub async fn reload(client: &Client, json: bool) -> anyhow::Result<()> {
    let value = client.post("/v1/reload", &Value::Null).await?;
    show(json, &value, |value| {
        println!("certificate in use until  {}", text(value, "certificate_until"));
        println!("liste blanche in use of   {}", text(value, "liste_blanche"));
        let empty = Vec::new();
        let restart = value.get("restart_needed_for").and_then(Value::as_array).unwrap_or(&empty);
        for key in restart.iter().filter_map(Value::as_str) {
            println!("restart needed for        {key}");
        }
    })
}

async fn verb(client: &Client, json: bool, path: &str, verb: &str) -> anyhow::Result<()> {
    let value = client.post(&format!("{path}/{verb}"), &Value::Null).await?;
    show(json, &value, |_| println!("done: {verb}"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("?")
}

/// The password in a file, or on standard input for `-`; one final newline is dropped.
fn read_password(path: &Path) -> anyhow::Result<String> {
    let mut password = String::new();
    if path == Path::new("-") {
        std::io::stdin().take(PASSWORD_FILE_BYTES_MAX).read_to_string(&mut password)?;
    } else {
        std::fs::File::open(path)
            .and_then(|f| f.take(PASSWORD_FILE_BYTES_MAX).read_to_string(&mut password))
            .with_context(|| format!("password file {}", path.display()))?;
    }
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        bail!("the password is empty");
    }
    Ok(password)
}

fn confirm(yes: bool, question: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        bail!("{question} Add --yes to do it without a question.");
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes" | "o" | "oui") { Ok(()) } else { bail!("left") }
}
