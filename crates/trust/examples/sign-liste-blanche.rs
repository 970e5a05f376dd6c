//! Writes and signs the lists of `certs/test-pki`. Called by `certs/test-pki/rebuild`.
//!
//!     cargo run -p palombe-trust --example sign-liste-blanche -- certs/test-pki

use palombe_trust::{CertificateDer, Dn, ListDraft, TlsIdentity, sign};
use palombe_vocabulary::{Secret, Timestamp};
use std::error::Error;
use std::path::{Path, PathBuf};

type Any = Box<dyn Error>;

const AUDIT: &str = "espacedeconfiance.mssante.test";

struct Pki(PathBuf);

impl Pki {
    fn read(&self, name: &str) -> Result<Vec<u8>, Any> {
        let path = self.0.join(name);
        std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()).into())
    }

    fn identity(&self, name: &str) -> Result<TlsIdentity, Any> {
        let key = Secret::new(self.read(&format!("{name}.key"))?);
        Ok(TlsIdentity::from_pem(&self.read(&format!("{name}.pem"))?, &key)?)
    }

    fn dn(&self, name: &str) -> Result<String, Any> {
        let identity = self.identity(name)?;
        let leaf: &CertificateDer<'_> = &identity.leaf();
        Ok(Dn::of_certificate(leaf)?.to_string())
    }

    fn signed(&self, signer: &str, draft: &ListDraft) -> Result<Vec<u8>, Any> {
        let key = Secret::new(self.read(&format!("{signer}.key"))?);
        Ok(sign(draft.to_xml().as_bytes(), &self.read(&format!("{signer}.pem"))?, &key)?)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Any> {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).map_err(|e| format!("{}: {e}", path.display()).into())
    }
}

fn entries(pki: &Pki) -> Result<Vec<(String, String, String)>, Any> {
    let mut entries = Vec::new();
    let mut add = |domain: &str, dn: &str, what: &str| {
        entries.push((domain.to_owned(), dn.to_owned(), what.to_owned()));
    };
    let alpha = pki.dn("op-alpha")?;
    // Spelled as some operators of the real list are (spec identity-directory §4.3): quotes, runs
    // of blanks, no blank before the département number.
    let beta = "CN=smtp.beta.mssante.test,OU=300000000077081,O=\"OPERATEUR  DE TEST BETA SAS\",\
                ST=Paris(75),C=FR";
    let both = "Domaine servi par deux opérateurs";
    add("alpha.mssante.test", &alpha, "Opérateur alpha <démonstration & essais>");
    add("chu-alpha.mssante.test", &alpha, "CHU de démonstration, opérateur alpha");
    add("beta.mssante.test", beta, "Opérateur beta");
    add("partage.mssante.test", &alpha, both);
    add("partage.mssante.test", beta, both);
    add("hôpital.mssante.test", &alpha, "Nom internationalisé");
    add("postfix.mssante.test", &pki.dn("op-postfix")?, "Opérateur Postfix");
    add("charge.mssante.test", &pki.dn("op-charge")?, "Injecteur de charge");

    // The audit domains, each with the DN of its own certificate, and with one of the auditor's bus
    // as in reality.
    let own =
        |cn: &str| format!("CN={cn}.{AUDIT},OU=300000000099622,O=GIP - TEST9962,L=Paris (75),C=FR");
    let bus =
        "CN=bus.mssante.test,OU=347976684200724,O=AUDITEUR DE TEST,ST=Hauts-de-Seine (92),C=FR";
    for case in [
        "tests-operateur",
        "sans-tls-audit",
        "cert-valide-audit",
        "cert-expire-audit",
        "cert-revoque-audit",
        "cert-non-igc-audit",
        "cert-cn-diff-dn-audit",
        "cert-no-match-audit",
        "cert-production-audit",
        "cert-auth-cli-audit",
        "cert-personnes-audit",
    ] {
        let listed = match case {
            "tests-operateur" | "sans-tls-audit" => pki.dn("audit-valide")?,
            _ => own(case),
        };
        let domain = format!("{case}.{AUDIT}");
        add(&domain, &listed, "Outil d'audit");
        add(&domain, bus, "Domaine d'audit Espace de Confiance");
    }
    // cert-no-match: the certificate is listed, for another domain than the one it is used for.
    add(&format!("autre-domaine.{AUDIT}"), &own("autre-domaine"), "Outil d'audit");
    Ok(entries)
}

fn swap(list: &[u8], from: &str, to: &str) -> Result<Vec<u8>, Any> {
    let text = std::str::from_utf8(list)?;
    if !text.contains(from) {
        return Err(format!("{from:?} is not in the list").into());
    }
    Ok(text.replacen(from, to, 1).into_bytes())
}

fn not_before(pki: &Pki, name: &str) -> Result<Timestamp, Any> {
    let identity = pki.identity(name)?;
    Ok(palombe_trust::validity_of(&identity.leaf())?.0)
}

fn main() -> Result<(), Any> {
    let folder = std::env::args().nth(1).ok_or("usage: sign-liste-blanche FOLDER")?;
    let pki = Pki(Path::new(&folder).to_owned());
    // Dated by its signer, so that a rebuild of the lists alone gives the same bytes.
    let date = not_before(&pki, "alb")?.plus_secs(3600);
    let draft = ListDraft { generated_at: date, entries: entries(&pki)? };
    let good = pki.signed("alb", &draft)?;
    pki.write("liste-blanche.xml", &good)?;

    // Lawful neighbours: yesterday's, and the next one, in which beta has left.
    let old = ListDraft { generated_at: date.plus_secs(-86_400), ..draft.clone() };
    pki.write("liste-blanche-ancienne.xml", &pki.signed("alb", &old)?)?;
    let mut next = ListDraft { generated_at: date.plus_secs(3600), ..draft.clone() };
    next.entries.retain(|(domain, dn, _)| domain != "beta.mssante.test" || !dn.contains("beta"));
    pki.write("liste-blanche-suivante.xml", &pki.signed("alb", &next)?)?;

    // Twins that must be refused.
    pki.write("liste-blanche-non-signee.xml", draft.to_xml().as_bytes())?;
    let altered = swap(&good, "<Nom>beta.mssante.test</Nom>", "<Nom>bata.mssante.test</Nom>")?;
    pki.write("liste-blanche-alteree.xml", &altered)?;
    let added = swap(
        &good,
        "    </ListeDomaines>",
        &draft_entry("absent.mssante.test", &pki.dn("op-absent")?, date),
    )?;
    pki.write("liste-blanche-ajout.xml", &added)?;
    for (twin, signer) in [
        ("signataire-expire", "alb-expire"),
        ("signataire-revoque", "alb-revoque"),
        ("signataire-non-igc", "alb-non-igc"),
        ("signataire-operateur", "op-absent"),
    ] {
        pki.write(&format!("liste-blanche-{twin}.xml"), &pki.signed(signer, &draft)?)?;
    }
    Ok(())
}

/// One more `Domaine`, cut out of a list of its own.
fn draft_entry(domain: &str, dn: &str, date: Timestamp) -> String {
    let entries = vec![(domain.to_owned(), dn.to_owned(), "Ajout frauduleux".to_owned())];
    let xml = ListDraft { generated_at: date, entries }.to_xml();
    let start = xml.find("        <Domaine>").unwrap_or_default();
    let end = xml.find("</ListeDomaines>").unwrap_or_default() + "</ListeDomaines>".len();
    xml[start..end].to_owned()
}
