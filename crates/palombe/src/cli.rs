//! The command line: one struct per command, from which help and parsing both come.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Palombe, an MSSanté operator in one binary.
#[derive(Parser)]
#[command(name = "palombe", version, about, after_help = EXAMPLES, propagate_version = true)]
pub struct Cli {
    /// Configuration file.
    #[arg(long, global = true, default_value = "/etc/palombe/palombe.toml", value_name = "FILE")]
    pub config: PathBuf,
    /// Administration socket; taken from the configuration when not given.
    #[arg(long, global = true, value_name = "SOCKET")]
    pub socket: Option<PathBuf>,
    /// Print JSON, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  palombe config example > /etc/palombe/palombe.toml
  palombe config check --config /etc/palombe/palombe.toml
  palombe run --config /etc/palombe/palombe.toml
  palombe domain add chu.mssante.fr
  palombe bal add jean.dupont@chu.mssante.fr --kind PER --password-file secret
  palombe queue list
  palombe trust why '<20261121.1@chu.mssante.fr>'";

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Run the server until SIGTERM or SIGINT.
    #[command(after_help = "Example:\n  palombe run --config /etc/palombe/palombe.toml")]
    Run,
    /// Make the running server read its configuration, certificate, key and anchors again (as SIGHUP does).
    #[command(after_help = "Example, after the certificate was renewed:
  palombe reload --config /etc/palombe/palombe.toml")]
    Reload,
    /// What the running server says of itself: listeners, liste blanche, CRLs, store.
    Status,
    /// The configuration file.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Hosted domains.
    #[command(subcommand)]
    Domain(DomainCommand),
    /// BAL: health mailboxes.
    #[command(subcommand)]
    Bal(BalCommand),
    /// Messages waiting for other operators.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Why somebody was let in, or refused.
    #[command(subcommand)]
    Trust(TrustCommand),
    /// The journal (traces d'imputabilité).
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Clinical documents in files: IHE_XDM archives, CDA, metadata. Works without a server.
    #[command(subcommand)]
    Documents(DocumentsCommand),
    /// The signed national list of domains and certificates.
    #[command(subcommand, name = "liste-blanche")]
    ListeBlanche(ListeBlancheCommand),
    /// The index behind SEARCH.
    #[command(subcommand)]
    Search(SearchCommand),
    /// The store's health.
    #[command(subcommand)]
    Store(StoreCommand),
}

/// `palombe config`
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print an annotated example with every key and its default.
    #[command(after_help = "Example:\n  palombe config example > /etc/palombe/palombe.toml")]
    Example,
    /// Read the configuration and every file that it names; list all problems.
    #[command(after_help = "Example:\n  palombe config check --config /etc/palombe/palombe.toml")]
    Check,
    /// Print the policy values that the référentiels leave open, with defaults and sources.
    Policy,
}

/// `palombe domain`
#[derive(Subcommand)]
pub enum DomainCommand {
    /// Host a domain.
    #[command(after_help = "Example:\n  palombe domain add chu.mssante.fr")]
    Add(Name),
    /// List the hosted domains.
    List,
    /// Show one.
    Show(Name),
    /// Refuse its mail, keep its BAL.
    Suspend(Name),
    /// Take its mail again.
    Resume(Name),
    /// Stop hosting it; refused while it has BAL.
    Delete(Name),
}

/// A domain name.
#[derive(Args)]
pub struct Name {
    /// Domain, such as chu.mssante.fr
    pub name: String,
}

/// `palombe bal`
#[derive(Subcommand)]
pub enum BalCommand {
    /// Create a BAL on a hosted domain.
    #[command(after_help = "Examples:
  palombe bal add jean.dupont@chu.mssante.fr --kind PER --password-file secret
  printf %s \"$PASSWORD\" | palombe bal add urgences@chu.mssante.fr --kind ORG --password-file -")]
    Add(BalAdd),
    /// List the BAL.
    List {
        /// Of this domain only.
        #[arg(long)]
        domain: Option<String>,
    },
    /// Show one.
    Show(Address),
    /// Refuse its mail and its logins, keep its content.
    Suspend(Address),
    /// Open it again.
    Resume(Address),
    /// Change its password.
    #[command(after_help = "Example:\n  palombe bal password jean.dupont@chu.mssante.fr \
        --password-file secret")]
    Password {
        /// The BAL.
        address: String,
        /// File that holds the password, `-` for standard input; a final newline is dropped.
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
    /// Members and delegates: other BAL that may open it.
    #[command(subcommand)]
    Member(MemberCommand),
    /// How a BAL with members behaves.
    #[command(after_help = "Examples:
  palombe bal sharing urgences@chu.mssante.fr
  palombe bal sharing urgences@chu.mssante.fr --seen own")]
    Sharing {
        /// The BAL.
        address: String,
        /// Whose read and unread marks: one for all (shared), or each member its own (own).
        #[arg(long, value_name = "MODE")]
        seen: Option<String>,
    },
    /// Delete it with its content. The address is never given again.
    Delete {
        /// The BAL.
        address: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// `palombe bal add`
#[derive(Args)]
pub struct BalAdd {
    /// Address, on a hosted domain.
    pub address: String,
    /// PER, ORG, APP or CAB.
    #[arg(long, default_value = "PER")]
    pub kind: String,
    /// Display label, such as Dr_Marie_MARTIN_Cabinet.
    #[arg(long, default_value = "")]
    pub label: String,
    /// Not shown in the Annuaire Santé.
    #[arg(long)]
    pub liste_rouge: bool,
    /// Quota in octets.
    #[arg(long)]
    pub quota_bytes: Option<u64>,
    /// File that holds the password, `-` for standard input; without it nobody can sign in by password.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// `palombe bal member`
#[derive(Subcommand)]
pub enum MemberCommand {
    /// Let a BAL open another, or change what it may do there.
    #[command(after_help = "Examples:
  palombe bal member add urgences@chu.mssante.fr jean.dupont@chu.mssante.fr --rights read,write
  palombe bal member add dr.martin@chu.mssante.fr secretariat@chu.mssante.fr \\
      --rights read,send-on-behalf
In IMAP the member sees the BAL under Partages/<address>.")]
    Add {
        /// The BAL that is opened.
        address: String,
        /// The BAL that opens it.
        member: String,
        /// Any of read, write, send-as, send-on-behalf, manage, with commas between.
        #[arg(long, value_delimiter = ',', required = true)]
        rights: Vec<String>,
    },
    /// List the members of a BAL.
    #[command(after_help = "Example:\n  palombe bal member list urgences@chu.mssante.fr --json")]
    List(Address),
    /// Take a member out, with every right that folders give it.
    #[command(after_help = "Example:\n  palombe bal member remove urgences@chu.mssante.fr \
        jean.dupont@chu.mssante.fr")]
    Remove {
        /// The BAL that is opened.
        address: String,
        /// The BAL that opens it no more.
        member: String,
    },
}

/// A BAL address.
#[derive(Args)]
pub struct Address {
    /// The BAL.
    pub address: String,
}

/// `palombe queue`
#[derive(Subcommand)]
pub enum QueueCommand {
    /// List the entries, urgent and oldest first.
    List {
        /// To this destination domain only.
        #[arg(long)]
        domain: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
    /// Show one.
    Show(QueueEntry),
    /// Try it now.
    Retry(QueueEntry),
    /// Keep it, do not try it.
    Hold(QueueEntry),
    /// Try it again after a hold.
    Release(QueueEntry),
    /// Give it up without telling the sender.
    Drop {
        /// The entry.
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// A queue entry.
#[derive(Args)]
pub struct QueueEntry {
    /// The entry, as `palombe queue list` shows it.
    pub id: String,
}

/// `palombe trust`
#[derive(Subcommand)]
pub enum TrustCommand {
    /// Replay a decision from the journal: which rule, certificate and liste blanche decided.
    #[command(after_help = "Examples:
  palombe trust why '<20261121.1@chu.mssante.fr>'
  palombe trust why --peer 'CN=smtp.autre.fr,OU=3…,O=…,ST=…,C=FR' --domain autre.mssante.fr \\
      --at 2026-03-03T10:00:00Z
  palombe trust why --ip 192.0.2.17 --rule peer.no-tls --at 2026-03-03T10:00:00Z")]
    Why(Why),
}

/// `palombe trust why`
#[derive(Args)]
pub struct Why {
    /// Message-ID.
    #[arg(required_unless_present_any = ["peer", "domain", "ip", "rule"])]
    pub message_id: Option<String>,
    /// Distinguished name of a peer's certificate.
    #[arg(long, value_name = "DN")]
    pub peer: Option<String>,
    /// Address of a peer, as for one that was refused before it showed a certificate.
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// Domain of the sender or of the recipient.
    #[arg(long)]
    pub domain: Option<String>,
    /// Rule that decided, or its beginning, such as peer.revoked or list.
    #[arg(long)]
    pub rule: Option<String>,
    /// Around this instant (RFC 3339).
    #[arg(long)]
    pub at: Option<String>,
    /// Minutes before and after that instant.
    #[arg(long, default_value_t = 720)]
    pub within_minutes: i64,
}

/// `palombe journal`
#[derive(Subcommand)]
pub enum JournalCommand {
    /// List lines, oldest first.
    #[command(after_help = "Example:\n  palombe journal list --bal jean.dupont@chu.mssante.fr \
        --from 2026-03-01T00:00:00Z --json")]
    List(JournalList),
    /// Walk the chain of all lines; exit 1 when one was changed, removed, inserted or moved.
    #[command(after_help = "Example:\n  palombe journal verify --json\n
The head is the digest of the whole journal. Kept elsewhere (a ticket, a printed sheet), it proves
later that no line before it was rewritten, for as long as the journal still holds that line.")]
    Verify,
}

/// `palombe journal list`
#[derive(Args)]
pub struct JournalList {
    /// Of this BAL.
    #[arg(long)]
    pub bal: Option<String>,
    /// About this Message-ID.
    #[arg(long)]
    pub message_id: Option<String>,
    /// About this domain.
    #[arg(long)]
    pub domain: Option<String>,
    /// From or to this address.
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// Decided by this rule, or a rule that begins so.
    #[arg(long)]
    pub rule: Option<String>,
    /// Events that begin so, such as smtp or relay.deferred.
    #[arg(long)]
    pub event: Option<String>,
    /// Not before (RFC 3339).
    #[arg(long)]
    pub from: Option<String>,
    /// Not after (RFC 3339).
    #[arg(long)]
    pub to: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 1000)]
    pub limit: usize,
}

/// `palombe documents`
#[derive(Subcommand)]
pub enum DocumentsCommand {
    /// What a receiver will not like, in French, with the rule; exit 1 on an error. Also HL7v2 messages.
    #[command(after_help = "Examples:
  palombe documents check IHE_XDM.ZIP
  palombe documents check lettre.xml --json")]
    Check {
        /// IHE_XDM archive, CDA, METADATA.XML or HL7v2 message.
        file: PathBuf,
    },
    /// Every fact that the file holds, as JSON. It names the patient.
    #[command(after_help = "Example:\n  palombe documents show IHE_XDM.ZIP")]
    Show {
        /// IHE_XDM archive, CDA or METADATA.XML.
        file: PathBuf,
    },
    /// A CDA as people read it. Nothing of the document is run, nothing is loaded.
    #[command(after_help = "Example:\n  palombe documents render lettre.xml > lettre.html")]
    Render {
        /// The CDA.
        file: PathBuf,
        /// A page, or plain text.
        #[arg(long, value_enum, default_value_t = DocumentForm::Html)]
        form: DocumentForm,
    },
}

/// What a CDA is rendered to.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum DocumentForm {
    /// HTML.
    Html,
    /// Text.
    Text,
}

/// `palombe liste-blanche`
#[derive(Subcommand)]
pub enum ListeBlancheCommand {
    /// Verify signature, signer, chain and dates; count the entries.
    #[command(after_help = "Example:
  palombe liste-blanche verify liste.xml --anchor igc-sante.pem --at 2025-03-01T00:00:00Z")]
    Verify(Verify),
    /// Show the certificates of a domain, or the domains of a certificate's DN.
    #[command(after_help = "Examples:
  palombe liste-blanche show medecin.mssante.fr --file liste.xml --anchor igc-sante.pem
  palombe liste-blanche show 'CN=bus.mssante.fr,…' --file liste.xml --anchor igc-sante.pem")]
    Show {
        /// Domain, or distinguished name.
        what: String,
        /// The list; from the configuration when not given.
        #[arg(long)]
        file: Option<PathBuf>,
        /// PEM anchors; from the configuration when not given.
        #[arg(long)]
        anchor: Option<PathBuf>,
        /// Verify at this instant instead of now.
        #[arg(long)]
        at: Option<String>,
    },
    /// What changed between two lists; each is verified at its own date.
    #[command(after_help = "Example:
  palombe liste-blanche diff hier.xml aujourdhui.xml --anchor igc-sante.pem")]
    Diff {
        /// The older list.
        old: PathBuf,
        /// The newer list.
        new: PathBuf,
        /// PEM anchors.
        #[arg(long)]
        anchor: PathBuf,
    },
    /// Sign a test list. Never for the national list, which the ANS alone signs.
    #[command(after_help = "Example:
  palombe liste-blanche sign entries.csv --key alb.key --certificate alb.pem > liste.xml
Each line of the file: domain;distinguished name")]
    Sign {
        /// Lines `domain;distinguished name`.
        entries: PathBuf,
        /// PEM key of the test signer.
        #[arg(long)]
        key: PathBuf,
        /// PEM certificate of the test signer.
        #[arg(long)]
        certificate: PathBuf,
        /// Generation date instead of now (RFC 3339).
        #[arg(long)]
        at: Option<String>,
    },
}

/// `palombe liste-blanche verify`
#[derive(Args)]
pub struct Verify {
    /// The list.
    pub file: PathBuf,
    /// PEM anchors: IGC-Santé roots and intermediates, or the signer's certificate itself.
    #[arg(long)]
    pub anchor: PathBuf,
    /// At this instant instead of now (RFC 3339).
    #[arg(long)]
    pub at: Option<String>,
    /// Name (CN) expected of the signer.
    #[arg(long, default_value = "alb.mssante.fr")]
    pub signer: String,
}

/// `palombe search`
#[derive(Subcommand)]
pub enum SearchCommand {
    /// How many messages are indexed, and how many wait. Searches find both.
    Status {
        /// Of this BAL only.
        #[arg(long)]
        bal: Option<String>,
    },
    /// Make the index again in the background. Searches stay exact meanwhile, only slower.
    #[command(
        after_help = "Example:\n  palombe search rebuild --bal jean.dupont@chu.mssante.fr --wait"
    )]
    Rebuild {
        /// Of this BAL only.
        #[arg(long)]
        bal: Option<String>,
        /// Show the progress until it is done.
        #[arg(long)]
        wait: bool,
    },
}

/// `palombe store`
#[derive(Subcommand)]
pub enum StoreCommand {
    /// Check every invariant; exit 1 when something is wrong. Asks the running server, else opens the data folder.
    #[command(after_help = "Examples:
  palombe store check --config /etc/palombe/palombe.toml
  palombe store check --data-folder /var/lib/palombe")]
    Check {
        /// Open this folder; the server must be stopped.
        #[arg(long)]
        data_folder: Option<PathBuf>,
    },
}
