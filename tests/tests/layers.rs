//! Arrows between rooms go down, and guests stay in their room: `[workspace.metadata.layers]` of the root
//! `Cargo.toml` against what cargo says.

use anyhow::{Context, Result, bail};
use palombe_tests::repo;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// External crates, and the only rooms that may depend on them directly. `tests` and `load` stand outside the house.
const FENCES: &[(&str, &[&str])] = &[
    ("rocksdb", &["store"]),
    ("argon2", &["access"]),
    ("axum", &["web-api"]),
    ("hyper", &["web-api", "palombe"]),
    ("reqwest", &["directory-sync"]),
    ("hickory-resolver", &["smtp-sender"]),
    ("quick-xml", &["trust", "clinical-docs"]),
    ("roxmltree", &["clinical-docs"]),
    ("bergshamra-dsig", &["trust"]),
    ("bergshamra-c14n", &["trust"]),
    ("zip", &["clinical-docs"]),
    ("mail-parser", &["message"]),
    ("imap-codec", &[]),
    ("x509-parser", &["trust"]),
    ("anyhow", &["palombe", "directory-sync"]),
    ("clap", &["palombe", "directory-sync"]),
];

/// Never in what is built for the product, at any depth.
const NEVER: &[&str] = &[
    "ring",
    "openssl",
    "openssl-sys",
    "native-tls",
    "rsa",
    "trust-dns-resolver",
    "trust-dns-proto",
];

/// Rooms of layers 0 to 3 know nothing of tokio, except this one.
const ASYNC_ROOM: &str = "driver";

struct House {
    layers: BTreeMap<String, (u64, Vec<String>)>,
    packages: BTreeMap<String, Value>,
}

fn cargo(arguments: &[&str]) -> Result<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo).args(arguments).current_dir(repo::root()).output()?;
    if !output.status.success() {
        bail!("cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn house() -> Result<House> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--locked", "--no-deps"])?;
    let all: Value = serde_json::from_str(&metadata)?;
    let mut layers = BTreeMap::new();
    for (name, entry) in all["metadata"]["layers"].as_object().context("no layers")? {
        let may = entry["may"].as_array().context("no may")?;
        let may = may.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
        layers.insert(name.clone(), (entry["layer"].as_u64().context("no layer")?, may));
    }
    let mut packages = BTreeMap::new();
    for package in all["packages"].as_array().context("no packages")? {
        packages.insert(room(&text(&package["name"])), package.clone());
    }
    Ok(House { layers, packages })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `palombe-smtp-proto` is the room `smtp-proto`.
fn room(package: &str) -> String {
    package.strip_prefix("palombe-").unwrap_or(package).to_owned()
}

impl House {
    /// Direct dependencies that are built into the product.
    fn guests(&self, room: &str) -> Vec<String> {
        let all = self.packages[room]["dependencies"].as_array().into_iter().flatten();
        all.filter(|dependency| dependency["kind"] != "dev").map(|dep| text(&dep["name"])).collect()
    }

    /// Other rooms that it depends on.
    fn arrows(&self, room: &str) -> Vec<String> {
        let ours = |name: &String| name.starts_with("palombe-");
        self.guests(room).iter().filter(|name| ours(name)).map(|name| self::room(name)).collect()
    }

    /// Names of everything that is compiled for it.
    fn everything(&self, room: &str) -> Result<BTreeSet<String>> {
        let package = text(&self.packages[room]["name"]);
        // `cargo metadata` also resolves what only tests or other features would pull in.
        let edges = ["--edges", "normal,build", "--prefix", "none", "--format", "{p}"];
        let tree =
            cargo(&[&["tree", "--locked", "--package", &package], edges.as_slice()].concat())?;
        Ok(tree.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect())
    }

    fn is_outside(&self, room: &str) -> bool {
        self.layers.get(room).is_some_and(|(layer, _)| *layer > 5)
    }
}

#[test]
fn the_table_and_the_workspace_name_the_same_rooms() -> Result<()> {
    let house = house()?;
    let table: Vec<_> = house.layers.keys().collect();
    let members: Vec<_> = house.packages.keys().collect();
    assert_eq!(table, members, "left: [workspace.metadata.layers], right: members");
    for (name, (_, may)) in &house.layers {
        for target in may.iter().filter(|target| *target != "*") {
            assert!(house.layers.contains_key(target), "{name} may use {target}, which is no room");
        }
    }
    Ok(())
}

#[test]
fn arrows_are_the_permitted_ones_and_go_down() -> Result<()> {
    let house = house()?;
    let mut wrong = Vec::new();
    for (room, (layer, may)) in &house.layers {
        let arrows = house.arrows(room);
        for target in &arrows {
            let below = house.layers[target].0;
            let everything = may.iter().any(|name| name == "*");
            if !everything && !may.contains(target) {
                wrong.push(format!("{room} depends on {target}, which the table does not permit"));
            }
            if below > *layer || (below == 4 && *layer == 4) {
                wrong.push(format!("{room} (layer {layer}) depends on {target} (layer {below})"));
            }
        }
        for target in may.iter().filter(|target| *target != "*" && !arrows.contains(target)) {
            wrong.push(format!(
                "{room} is permitted {target} and does not use it: take it off the table"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn guests_stay_in_their_room() -> Result<()> {
    let house = house()?;
    let mut wrong = Vec::new();
    for room in house.layers.keys().filter(|room| !house.is_outside(room)) {
        for guest in house.guests(room) {
            let fence = FENCES.iter().find(|(name, _)| *name == guest);
            if fence.is_some_and(|(_, rooms)| !rooms.contains(&room.as_str())) {
                wrong.push(format!("{room} depends on {guest}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn the_house_below_the_doors_is_synchronous() -> Result<()> {
    let house = house()?;
    let mut wrong = Vec::new();
    for (room, (layer, _)) in &house.layers {
        if *layer <= 3 && room != ASYNC_ROOM && house.everything(room)?.contains("tokio") {
            wrong.push(format!("tokio is compiled for {room} (layer {layer})"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn one_cryptographic_library_and_no_forbidden_crate() -> Result<()> {
    let house = house()?;
    let mut wrong = Vec::new();
    for room in house.layers.keys() {
        let everything = house.everything(room)?;
        wrong.extend(
            NEVER
                .iter()
                .filter(|name| everything.contains(**name))
                .map(|name| format!("{room}: {name}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let lock = std::fs::read_to_string(repo::root().join("Cargo.lock"))?;
    assert!(
        !lock.contains("name = \"trust-dns"),
        "Cargo.lock holds a trust-dns crate: hickory took its place"
    );
    assert!(
        lock.contains("name = \"mail-parser\"\nversion = \"1.0.1\""),
        "mail-parser must be 1.0.1"
    );
    Ok(())
}
