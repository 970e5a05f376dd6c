//! THREAD=ORDEREDSUBJECT and THREAD=REFERENCES (RFC 5256 3).
//!
//! Links are only looked up upwards, and everything that walks the trees keeps its own stack, so that neither a
//! hostile chain of references nor a deep thread grows ours.

use crate::limits::{REFERENCES_MAX, THREAD_DEPTH_MAX};
use palombe_vocabulary::Timestamp;
use std::collections::HashMap;
use std::fmt::Write;

/// What threading knows of a message. Messages come in the order of their folder.
#[derive(Clone, Debug)]
pub struct Threaded {
    /// From [`message_ids`]; `None` when it has none.
    pub id: Option<String>,
    /// From [`message_ids`]: References, or the first of In-Reply-To.
    pub references: Vec<String>,
    /// The collation key of its base subject.
    pub subject: Vec<u8>,
    /// See [`crate::BaseSubject`].
    pub is_reply_or_forward: bool,
    /// RFC 5256 2.2.
    pub sent: Timestamp,
}

/// The Message IDs of a field, without brackets and without needless quotes (RFC 5256 3: normalised), the last ones
/// when there are too many.
pub fn message_ids(value: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(value);
    let mut ids: Vec<String> = Vec::new();
    let (mut id, mut inside, mut quoted) = (String::new(), false, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' if inside => quoted = !quoted,
            '\\' if quoted => id.extend(chars.next()),
            '<' if !quoted => {
                id.clear();
                inside = true;
            }
            '>' if inside && !quoted => {
                inside = false;
                if !id.is_empty() {
                    ids.push(std::mem::take(&mut id));
                }
            }
            '\r' | '\n' => {}
            ' ' | '\t' if !quoted => {}
            c if inside => id.push(c),
            _ => {}
        }
    }
    ids.drain(..ids.len().saturating_sub(REFERENCES_MAX));
    ids
}

/// Trees of messages. A node without message joins siblings whose parent is not there.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Index among the messages that were given.
    message: Option<usize>,
    parent: Option<usize>,
    children: Vec<usize>,
}

impl Threads {
    /// `ORDEREDSUBJECT`: one thread for each base subject, no grandchildren.
    pub fn by_subject(messages: &[Threaded]) -> Threads {
        let mut order: Vec<usize> = (0..messages.len()).collect();
        order.sort_by(|a, b| {
            let key = |i: usize| (&messages[i].subject, messages[i].sent, i);
            key(*a).cmp(&key(*b))
        });
        let mut threads = Threads::default();
        for at in order {
            let node = threads.add(Some(at));
            let head = threads.roots.last().copied();
            let same = head.filter(|head| {
                let first = threads.nodes[*head].message.unwrap_or(at);
                messages[first].subject == messages[at].subject
            });
            match same {
                Some(head) => threads.nodes[head].children.push(node),
                None => threads.roots.push(node),
            }
        }
        threads.sort_roots(messages);
        threads
    }

    /// `REFERENCES`, in its six steps.
    pub fn by_references(messages: &[Threaded]) -> Threads {
        let mut threads = Threads::default();
        threads.link(messages); // (1)
        threads.gather(); // (2)
        threads.prune(); // (3)
        threads.sort_children(messages);
        threads.sort_roots(messages); // (4)
        threads.merge(messages); // (5)
        threads.sort_children(messages); // (6)
        threads.sort_roots(messages);
        threads
    }

    fn add(&mut self, message: Option<usize>) -> usize {
        self.nodes.push(Node { message, ..Node::default() });
        self.nodes.len() - 1
    }

    /// (1) Parents from references. A Message ID belongs to the first message that bears it.
    fn link(&mut self, messages: &[Threaded]) {
        let mut by_id: HashMap<&str, usize> = HashMap::new();
        for (at, message) in messages.iter().enumerate() {
            let node = self.add(Some(at));
            if let Some(id) = &message.id {
                by_id.entry(id).or_insert(node);
            }
        }
        // Whether anything stands below a node: only then can a link make a loop.
        let mut has_children = vec![false; self.nodes.len()];
        for (at, message) in messages.iter().enumerate() {
            let mut before = None;
            for id in &message.references {
                let node = match by_id.get(id.as_str()) {
                    Some(node) => *node,
                    None => {
                        let node = self.add(None);
                        has_children.push(false);
                        by_id.insert(id, node);
                        node
                    }
                };
                // (A) An existing link stays.
                if let Some(parent) = before
                    && self.nodes[node].parent.is_none()
                {
                    self.adopt(parent, node, &mut has_children);
                }
                before = Some(node);
            }
            // (B) The last reference is the parent, whatever was guessed before.
            self.nodes[at].parent = None;
            if let Some(parent) = before {
                self.adopt(parent, at, &mut has_children);
            }
        }
    }

    /// Unless it would make a loop, or a chain too long to be looked at.
    fn adopt(&mut self, parent: usize, child: usize, has_children: &mut [bool]) {
        if parent == child {
            return;
        }
        if has_children[child] {
            let mut above = self.nodes[parent].parent;
            for _ in 0..THREAD_DEPTH_MAX {
                match above {
                    None => break,
                    Some(node) if node == child => return,
                    Some(node) => above = self.nodes[node].parent,
                }
            }
            if above.is_some() {
                return;
            }
        }
        has_children[parent] = true;
        self.nodes[child].parent = Some(parent);
    }

    /// (2) Children of each node, and those without parents.
    fn gather(&mut self) {
        for node in 0..self.nodes.len() {
            match self.nodes[node].parent {
                Some(parent) => self.nodes[parent].children.push(node),
                None => self.roots.push(node),
            }
        }
    }

    /// Every node below the roots, parents before children.
    fn downwards(&self) -> Vec<usize> {
        let mut order = self.roots.clone();
        let mut at = 0;
        while at < order.len() {
            order.extend_from_slice(&self.nodes[order[at]].children);
            at += 1;
        }
        order
    }

    /// (3) Nodes without message go; their children take their place, but not several at the root.
    fn prune(&mut self) {
        for node in self.downwards().into_iter().rev() {
            let children = std::mem::take(&mut self.nodes[node].children);
            self.nodes[node].children = self.promoted(children, false);
        }
        let roots = std::mem::take(&mut self.roots);
        self.roots = self.promoted(roots, true);
    }

    fn promoted(&mut self, nodes: Vec<usize>, at_root: bool) -> Vec<usize> {
        if nodes.iter().all(|node| self.nodes[*node].message.is_some()) {
            return nodes;
        }
        let mut kept = Vec::with_capacity(nodes.len());
        for node in nodes {
            let count = self.nodes[node].children.len();
            if self.nodes[node].message.is_some() || (at_root && count > 1) {
                kept.push(node);
                continue;
            }
            let mut children = std::mem::take(&mut self.nodes[node].children);
            if kept.is_empty() {
                kept = children;
            } else {
                kept.append(&mut children);
            }
        }
        kept
    }

    /// The message that a node is sorted and named by: its own, or its first child's.
    fn face(&self, node: usize) -> Option<usize> {
        let node = &self.nodes[node];
        node.message.or_else(|| node.children.first().and_then(|first| self.nodes[*first].message))
    }

    fn sorted(&self, mut nodes: Vec<usize>, messages: &[Threaded]) -> Vec<usize> {
        // RFC 5256 2.2: equal dates in the order of the folder.
        nodes.sort_by_cached_key(|node| {
            self.face(*node).map(|message| (messages[message].sent, message))
        });
        nodes
    }

    fn sort_roots(&mut self, messages: &[Threaded]) {
        let roots = std::mem::take(&mut self.roots);
        self.roots = self.sorted(roots, messages);
    }

    /// Each set of siblings below the root, the youngest first.
    fn sort_children(&mut self, messages: &[Threaded]) {
        for node in self.downwards().into_iter().rev() {
            let children = std::mem::take(&mut self.nodes[node].children);
            self.nodes[node].children = self.sorted(children, messages);
        }
    }

    /// (5) Threads with the same subject become one.
    fn merge(&mut self, messages: &[Threaded]) {
        let roots = std::mem::take(&mut self.roots);
        let mut table: HashMap<&[u8], usize> = HashMap::new();
        let subject = |threads: &Threads, node: usize| {
            let message = &messages[threads.face(node)?];
            (!message.subject.is_empty()).then_some(message.subject.as_slice())
        };
        let is_reply = |threads: &Threads, node: usize| {
            threads.nodes[node].message.is_some_and(|at| messages[at].is_reply_or_forward)
        };
        // (B)
        for node in &roots {
            let Some(subject) = subject(self, *node) else { continue };
            let known = *table.entry(subject).or_insert(*node);
            let dummy = self.nodes[*node].message.is_none();
            let better = dummy || (is_reply(self, known) && !is_reply(self, *node));
            if self.nodes[known].message.is_some() && better {
                table.insert(subject, *node);
            }
        }
        // (C)
        let mut gone = vec![false; self.nodes.len()];
        let mut made: HashMap<usize, usize> = HashMap::new();
        for node in &roots {
            let Some(subject) = subject(self, *node) else { continue };
            let Some(&known) = table.get(subject).filter(|known| **known != *node) else {
                continue;
            };
            let known_dummy = self.nodes[known].message.is_none();
            gone[*node] = true;
            if known_dummy && self.nodes[*node].message.is_none() {
                let mut children = std::mem::take(&mut self.nodes[*node].children);
                self.nodes[known].children.append(&mut children);
            } else if known_dummy || (is_reply(self, *node) && !is_reply(self, known)) {
                self.nodes[known].children.push(*node);
            } else {
                let joint = self.add(None);
                gone.push(false);
                self.nodes[joint].children = vec![known, *node];
                made.insert(known, joint);
                table.insert(subject, joint);
            }
        }
        // A joint node stands where its first member stood.
        self.roots = roots
            .into_iter()
            .filter(|node| !gone[*node])
            .map(|node| made.get(&node).copied().unwrap_or(node))
            .collect();
    }

    /// `thread-data` of RFC 5256 5 without its first word; `number` gives each message its number.
    pub fn text(&self, number: impl Fn(usize) -> u32) -> String {
        enum Step {
            Open,
            Node(usize),
            Close,
        }
        let mut out = String::new();
        let mut steps: Vec<Step> = Vec::new();
        for root in &self.roots {
            steps.extend([Step::Close, Step::Node(*root), Step::Open]);
            while let Some(step) = steps.pop() {
                let node = match step {
                    Step::Open | Step::Close => {
                        out.push(if matches!(step, Step::Open) { '(' } else { ')' });
                        continue;
                    }
                    Step::Node(node) => &self.nodes[node],
                };
                if let Some(message) = node.message {
                    let space = if out.ends_with('(') { "" } else { " " };
                    let _ = write!(out, "{space}{}", number(message));
                }
                match node.children.as_slice() {
                    [] => {}
                    [only] => steps.push(Step::Node(*only)),
                    several => {
                        if node.message.is_some() {
                            out.push(' ');
                        }
                        for child in several.iter().rev() {
                            steps.extend([Step::Close, Step::Node(*child), Step::Open]);
                        }
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base_subject, collation_key};

    /// `id|references|subject|date` of each message, numbered from 1.
    fn messages(lines: &[&str]) -> Vec<Threaded> {
        let message = |line: &&str| {
            let parts: Vec<&str> = line.split('|').collect();
            let subject = base_subject(parts[2]);
            Threaded {
                id: message_ids(format!("<{}>", parts[0]).as_bytes()).pop(),
                references: parts[1].split_whitespace().map(str::to_owned).collect(),
                subject: collation_key(&subject.text),
                is_reply_or_forward: subject.is_reply_or_forward,
                sent: Timestamp(parts[3].parse().unwrap()),
            }
        };
        lines.iter().map(message).collect()
    }

    fn references(lines: &[&str], expected: &str) {
        let threads = Threads::by_references(&messages(lines));
        let text = threads.text(|at| u32::try_from(at + 1).unwrap());
        assert_eq!(text, expected, "{lines:?}");
    }

    fn subjects(lines: &[&str], expected: &str) {
        let threads = Threads::by_subject(&messages(lines));
        assert_eq!(threads.text(|at| u32::try_from(at + 1).unwrap()), expected, "{lines:?}");
    }

    #[test]
    fn ordered_subject() {
        subjects(&[], "");
        subjects(&["a||x|1", "b||y|2", "c||Re: x|3", "d||X|4"], "(1 (3)(4))(2)");
        subjects(&["a||x|5", "b||y|2", "c||Re: x|3"], "(2)(3 1)");
        // Equal dates: in the order of the folder.
        subjects(&["a||x|1", "b||x|1", "c||y|1"], "(1 2)(3)");
    }

    #[test]
    fn parents_from_references() {
        references(&[], "");
        references(&["a||x|1", "b|a|Re: x|2", "c|a b|Re: x|3", "d|a|Re: x|4"], "(1 (2 3)(4))");
        // The example of RFC 5256 BASE.7.2.THREAD: (2)(3 6 (4 23)(44 7 96)).
        let lines = [
            "m2||two|1",
            "m3||three|2",
            "m6|m3|Re: three|3",
            "m4|m3 m6|Re: three|4",
            "m44|m3 m6|Re: three|5",
            "m23|m4|Re: three|6",
            "m7|m44|Re: three|7",
            "m96|m7|Re: three|8",
        ];
        let numbers = [2, 3, 6, 4, 44, 23, 7, 96];
        let text = Threads::by_references(&messages(&lines)).text(|at| numbers[at]);
        assert_eq!(text, "(2)(3 6 (4 23)(44 7 96))");
    }

    #[test]
    fn absent_parents() {
        // Two answers to something that is not there.
        references(&["a|z|x|1", "b|z|y|2"], "((1)(2))");
        // One answer: nothing is left of the parent.
        references(&["a|z|x|1"], "(1)");
        // Below the root the place of an absent one is taken by its children.
        references(&["a||x|1", "b|a z|x|2", "c|a z|x|3"], "(1 (2)(3))");
        references(&["c|y z|x|3", "b|y z|x|2"], "((2)(1))");
    }

    #[test]
    fn loops_and_doubles() {
        references(&["a|a|x|1"], "(1)");
        references(&["a|b|x|1", "b|a|y|2"], "(2 1)");
        references(&["a|c b|x|1", "b|a c|y|2", "c|b a|z|3"], "(3 2 1)");
        // The second bearer of an identifier is another message.
        references(&["a||x|1", "a||y|2", "b|a|Re: x|3"], "(1 3)(2)");
        references(&["||x|1", "||y|2"], "(1)(2)");
        // A guess from truncated references gives way to what the message says itself.
        references(&["c|a b|x|1", "a||x1|2", "b||x2|3"], "(2)(3 1)");
    }

    #[test]
    fn subjects_join_threads() {
        references(&["a||x|1", "b||Re: x|2"], "(1 2)");
        references(&["b||Re: x|1", "a||x|2"], "(2 1)");
        references(&["a||x|1", "b||x|2", "c||x|3"], "((1)(2)(3))");
        references(&["a||Re: x|1", "b||Re: x|2"], "((1)(2))");
        references(&["a|z|x|1", "b|z|x|2", "c||Re: x|3"], "((1)(2)(3))");
        references(&["a|z|x|1", "b|z|x|2", "c|y|X|3", "d|y|x|4"], "((1)(2)(3)(4))");
        references(&["a|||1", "b|||2"], "(1)(2)");
        references(&["a||x|3", "b||y|2", "c||Re: x|1"], "(2)(1 3)");
    }

    #[test]
    fn identifiers() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(message_ids(text.as_bytes()), expected, "{text}");
        };
        check("<a@b> <c@d>", &["a@b", "c@d"]);
        check("<a@b>\r\n\t<c @d>", &["a@b", "c@d"]);
        check("<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>", &["01KF8JCEOCBS0045PS@xxx.yyy.com"]);
        check("<\"a\\\"> b\"@c>", &["a\"> b@c"]);
        check("message of <x@y> <z", &["x@y"]);
        check("<> \"<\" no", &[]);
        assert_eq!(message_ids("<a@b>".repeat(5000).as_bytes()).len(), REFERENCES_MAX);
    }

    #[test]
    fn hostile_references_end_soon() {
        let began = std::time::Instant::now();
        let chain = |count: usize, reply: &dyn Fn(usize) -> Vec<String>| {
            let message = |at: usize| Threaded {
                id: Some(at.to_string()),
                references: reply(at),
                subject: Vec::new(),
                is_reply_or_forward: false,
                sent: Timestamp(0),
            };
            let messages: Vec<Threaded> = (0..count).map(message).collect();
            let text = Threads::by_references(&messages).text(|at| at as u32);
            assert!(text.len() > count);
        };
        chain(50_000, &|at| vec![(at + 1).to_string()]);
        chain(50_000, &|at| vec![at.saturating_sub(1).to_string()]);
        chain(50_000, &|at| vec![(at * 7 % 50_000).to_string(), (at * 13 % 50_000).to_string()]);
        chain(20_000, &|at| (0..20).map(|i| format!("{at}-{i}")).collect());
        chain(50_000, &|_| vec!["root".to_owned()]);
        assert!(began.elapsed().as_secs() < 60);
    }

    proptest::proptest! {
        /// Whatever the messages refer to, each is told once, and the parentheses close.
        #[test]
        fn every_message_is_in_one_place(
            specs in proptest::collection::vec(
                ("[a-f]{0,1}", proptest::collection::vec("[a-h]", 0..5), "(Re: )?[xyz]?", 0i64..4),
                0..12,
            )
        ) {
            let line = |(id, references, subject, date): &(String, Vec<String>, String, i64)| {
                format!("{id}|{}|{subject}|{date}", references.join(" "))
            };
            let lines: Vec<String> = specs.iter().map(line).collect();
            let messages = messages(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            for threads in [Threads::by_references(&messages), Threads::by_subject(&messages)] {
                let text = threads.text(|at| u32::try_from(at + 1).unwrap());
                let mut told: Vec<usize> = text
                    .split(['(', ')', ' '])
                    .filter(|word| !word.is_empty())
                    .map(|word| word.parse().unwrap())
                    .collect();
                told.sort_unstable();
                let expected: Vec<usize> = (1..=messages.len()).collect();
                proptest::prop_assert_eq!(told, expected, "{} of {:?}", text, lines);
                let mut depth = 0;
                for c in text.chars() {
                    depth += i32::from(c == '(') - i32::from(c == ')');
                    proptest::prop_assert!(depth >= 0 && (depth > 0 || c == ')'), "{}", text);
                }
                proptest::prop_assert_eq!(depth, 0);
                proptest::prop_assert!(!text.contains("()") && !text.contains("  "), "{}", text);
            }
        }
    }
}
