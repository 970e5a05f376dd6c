//! Our HL7v2 messages before another implementation: hl7apy of PyPI, strict, version by version.
//!
//! `script/bootstrap test` installs it in an environment of its own below the build folder.

use palombe_clinical_docs::Limits;
use palombe_clinical_docs::cda::read_cda;
use palombe_clinical_docs::hl7v2::{
    AckCode, ApplicationError, Condition, Endpoint, Event, Failure, Mdm, Message, Party,
    Processing, Visibility, build_ack, build_mdm,
};
use palombe_vocabulary::Timestamp;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A Python that has hl7apy.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("PALOMBE_PYTHON").map(PathBuf::from);
    // The tests stand in <build>/<profile>/deps.
    let build =
        std::env::current_exe().ok().and_then(|exe| exe.ancestors().nth(3).map(PathBuf::from));
    let beside = build.map(|build| build.join("python/bin/python3"));
    let candidates = [named, beside, Some(PathBuf::from("python3"))];
    let found = candidates.into_iter().flatten().find(|python| {
        let mut import = Command::new(python);
        import.args(["-c", "import hl7apy"]).stdout(Stdio::null()).stderr(Stdio::null());
        import.status().is_ok_and(|status| status.success())
    });
    if found.is_none() {
        println!("SKIP: no Python with hl7apy; script/bootstrap test installs it");
    }
    found
}

/// Reads each message strictly and tells every component that it finds, one per line. PRT came with version 2.7: it
/// is read by its rules, as the French profiles adopt it early.
const SCRIPT: &str = r#"
import re, sys
from hl7apy.parser import parse_message, parse_segment
from hl7apy.consts import VALIDATION_LEVEL as V
def tell(s):
    for f in s.children:
        number = int(f.name.split('_')[1])
        # Components by position, names of types left aside; a primitive is its own only component.
        for n, value in enumerate(f.to_er7().split('^')):
            if value and not (s.name == 'MSH' and number < 3):
                print(s.name, number, n + 1, value, sep='\t')
for path in sys.argv[1:]:
    text = open(path, encoding='utf-8', newline='').read()
    lines = [l for l in text.split('\r') if l]
    kept = [l for l in lines if not l.startswith('PRT')]
    # It takes ED.5 for a short string; the next loop compares the whole of it.
    kept = [re.sub(r'Base64\^[^|]{900,}', 'Base64^QQ==', l) for l in kept]
    m = parse_message('\r'.join(kept), validation_level=V.STRICT, find_groups=True)
    m.validate()
    for line in lines:
        version = '2.8' if line.startswith('PRT') else '2.6'
        s = parse_segment(line, version=version, validation_level=V.TOLERANT)
        print('==', s.name)
        tell(s)
"#;

fn mdm(sample: &str, event: Event) -> Message {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(sample);
    let document = std::fs::read(path).unwrap();
    let cda = read_cda(&document, &Limits::default()).unwrap();
    let party = |address: &str| Party {
        address: address.to_owned(),
        organization: "Urologie & cie".to_owned(),
    };
    let side = |application: &str| Endpoint {
        application: application.to_owned(),
        facility: "CH".to_owned(),
    };
    build_mdm(&Mdm {
        from: side("PALOMBE"),
        to: side("DPI"),
        control_id: "42",
        at: Timestamp(1_795_255_200_000),
        processing: Processing::Production,
        event,
        cda: &cda,
        document: &document,
        sender: party("medecin@alpha.mssante.fr"),
        recipients: &[party("dpi@beta.mssante.fr")],
        reply_to: Some(party("secretariat@alpha.mssante.fr")),
        message_id: "abc@alpha.mssante.fr",
        subject: "XDM/1.0/DDM+CR | d'imagerie ^ COLOMBE",
        body: "Bonjour",
        visibility: Visibility { hidden_from_patient: true, ..Visibility::default() },
    })
    .unwrap()
}

/// The same table from our own reader.
fn ours(message: &Message) -> Vec<String> {
    let mut rows = Vec::new();
    for segment in message.segments() {
        rows.push(format!("==\t{}", segment.name()));
        for field in 1..=segment.fields() {
            if segment.name() == "MSH" && field < 3 {
                continue;
            }
            for repetition in message.repetitions(segment, field, &Limits::default()) {
                for (n, component) in repetition.split('^').enumerate() {
                    if !component.is_empty() {
                        rows.push(format!("{}\t{field}\t{}\t{component}", segment.name(), n + 1));
                    }
                }
            }
        }
    }
    rows
}

#[test]
fn another_implementation_accepts_and_reads_the_same() {
    let Some(python) = python() else { return };
    let mut messages = vec![
        mdm("lettre.xml", Event::New),
        mdm("biologie_n1.xml", Event::Delete),
        mdm("imagerie_v2.xml", Event::Replace),
    ];
    let failure = Failure {
        location: "PID^1^3",
        condition: Condition::Application,
        application: Some(ApplicationError::UnknownPatient),
    };
    messages.push(build_ack(&messages[0], AckCode::Error, Some(failure), "43", Timestamp(0)));
    let folder = std::env::temp_dir().join(format!("palombe-hl7-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (n, message) in messages.iter().enumerate() {
        let path = folder.join(format!("{n}.hl7"));
        std::fs::write(&path, message.encode()).unwrap();
        let output = Command::new(&python).arg("-c").arg(SCRIPT).arg(&path).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{errors}", message.first("MSH", 9, 2));
        let theirs = String::from_utf8(output.stdout).unwrap().replace("== ", "==\t");
        let theirs: Vec<String> = theirs.lines().map(str::to_owned).collect();
        assert_eq!(theirs, ours(message));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
