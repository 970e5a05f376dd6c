//! What a batch says.

use super::Space;
use std::sync::Arc;

/// Whether the answer waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Durability {
    /// Survives a crash of the process soon, a power cut later.
    Relaxed,
    /// Survives a power cut when answered.
    Synced,
}

/// What must hold for the batch to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// No row under the key.
    Absent(Space, Vec<u8>),
    /// Some row under the key.
    Present(Space, Vec<u8>),
    /// Exactly this value under the key.
    Equals(Space, Vec<u8>, Vec<u8>),
    /// No row whose key begins so.
    NoneUnder(Space, Vec<u8>),
}

/// Index of a counter step in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StepId(pub(crate) usize);

/// Index of a guard in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GuardId(pub(crate) usize);

/// How a step changes its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Old value plus this.
    Add(i64),
    /// The larger of this and old value plus one.
    Raise(i64),
    /// The result of an earlier step of the batch.
    Same(StepId),
}

/// One step of one counter: a field of a counter row. Steps run in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CounterStep {
    pub(crate) key: Vec<u8>,
    pub(crate) field: usize,
    pub(crate) change: Change,
    /// The row must exist; it is created otherwise.
    pub(crate) exists: bool,
    /// The result may not be larger.
    pub(crate) at_most: Option<i64>,
    /// The old value must be this.
    pub(crate) was: Option<i64>,
}

/// When a put or delete applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Always.
    Always,
    /// When the guard's key had no row.
    Absent(GuardId),
    /// When the guard's key had a row.
    Present(GuardId),
}

/// Where a counter result is patched, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) step: StepId,
    pub(crate) at: usize,
    /// 4 or 8 octets.
    pub(crate) width: usize,
}

impl Slot {
    /// Four octets.
    pub(crate) fn u32(step: StepId, at: usize) -> Slot {
        Slot { step, at, width: 4 }
    }

    /// Eight octets.
    pub(crate) fn u64(step: StepId, at: usize) -> Slot {
        Slot { step, at, width: 8 }
    }
}

/// Octets of a value, owned or shared with the caller.
#[derive(Clone, Debug)]
pub(crate) enum Octets {
    Own(Vec<u8>),
    Shared(Arc<Vec<u8>>),
}

impl Octets {
    pub(crate) fn len(&self) -> usize {
        match self {
            Octets::Own(v) => v.len(),
            Octets::Shared(v) => v.len(),
        }
    }

    pub(crate) fn into_vec(self) -> Vec<u8> {
        match self {
            Octets::Own(v) => v,
            Octets::Shared(v) => Arc::unwrap_or_clone(v),
        }
    }
}

impl From<Vec<u8>> for Octets {
    fn from(v: Vec<u8>) -> Self {
        Octets::Own(v)
    }
}

impl From<Arc<Vec<u8>>> for Octets {
    fn from(v: Arc<Vec<u8>>) -> Self {
        Octets::Shared(v)
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Put {
        space: Space,
        key: Vec<u8>,
        value: Octets,
        key_slots: Vec<Slot>,
        value_slots: Vec<Slot>,
        when: When,
    },
    /// A row of a hash chain and its link: under `link`, the row's key and the digest of the chain up to it.
    Chained {
        space: Space,
        key: Vec<u8>,
        value: Vec<u8>,
        key_slots: Vec<Slot>,
        link: (Vec<u8>, Vec<Slot>),
        head: Vec<u8>,
    },
    Delete {
        space: Space,
        key: Vec<u8>,
        when: When,
    },
    DeleteRange {
        space: Space,
        from: Vec<u8>,
        to: Vec<u8>,
    },
}

/// A change of the store: applied whole or refused whole.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) durability: Durability,
    pub(crate) expects: Vec<Expect>,
    pub(crate) guards: Vec<(Space, Vec<u8>)>,
    pub(crate) steps: Vec<CounterStep>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) counter_deletes: Vec<Vec<u8>>,
}

impl Batch {
    pub(crate) fn new(durability: Durability) -> Batch {
        Batch {
            durability,
            expects: Vec::new(),
            guards: Vec::new(),
            steps: Vec::new(),
            edits: Vec::new(),
            counter_deletes: Vec::new(),
        }
    }

    /// Refuses the batch unless this holds.
    pub(crate) fn expect(&mut self, expect: Expect) {
        self.expects.push(expect);
    }

    /// Looks whether a key has a row, for [`When`]. Earlier edits of the same batch count.
    pub(crate) fn guard(&mut self, space: Space, key: Vec<u8>) -> GuardId {
        self.guards.push((space, key));
        GuardId(self.guards.len() - 1)
    }

    /// Adds to a counter that must exist.
    pub(crate) fn step(&mut self, key: &[u8], field: usize, add: i64) -> StepId {
        self.push_step(key, field, Change::Add(add), true)
    }

    /// Adds to a counter, created when absent.
    pub(crate) fn step_new(&mut self, key: &[u8], field: usize, add: i64) -> StepId {
        self.push_step(key, field, Change::Add(add), false)
    }

    /// Raises a counter that must exist to this value, or by one when it is there already.
    pub(crate) fn raise(&mut self, key: &[u8], field: usize, to: i64) -> StepId {
        self.push_step(key, field, Change::Raise(to), true)
    }

    /// Gives a counter that must exist the result of an earlier step.
    pub(crate) fn same(&mut self, key: &[u8], field: usize, step: StepId) -> StepId {
        self.push_step(key, field, Change::Same(step), true)
    }

    fn push_step(&mut self, key: &[u8], field: usize, change: Change, exists: bool) -> StepId {
        let key = key.to_vec();
        self.steps.push(CounterStep { key, field, change, exists, at_most: None, was: None });
        StepId(self.steps.len() - 1)
    }

    /// Refuses the batch when the step's result is larger.
    pub(crate) fn at_most(&mut self, step: StepId, most: i64) {
        self.steps[step.0].at_most = Some(most);
    }

    /// Refuses the batch when the step's counter was something else.
    pub(crate) fn was(&mut self, step: StepId, value: i64) {
        self.steps[step.0].was = Some(value);
    }

    /// Removes a counter row.
    pub(crate) fn counter_delete(&mut self, key: Vec<u8>) {
        self.counter_deletes.push(key);
    }

    pub(crate) fn put(&mut self, space: Space, key: Vec<u8>, value: impl Into<Octets>) {
        self.put_slots(space, (key, Vec::new()), (value.into(), Vec::new()), When::Always);
    }

    pub(crate) fn put_when(
        &mut self,
        when: When,
        space: Space,
        key: Vec<u8>,
        value: impl Into<Octets>,
    ) {
        self.put_slots(space, (key, Vec::new()), (value.into(), Vec::new()), when);
    }

    pub(crate) fn put_slots(
        &mut self,
        space: Space,
        (key, key_slots): (Vec<u8>, Vec<Slot>),
        (value, value_slots): (Octets, Vec<Slot>),
        when: When,
    ) {
        self.edits.push(Edit::Put { space, key, value, key_slots, value_slots, when });
    }

    /// Adds a row to the chain of `head`; its link stands under `link`. See [`super::chain`].
    pub(crate) fn put_chained(
        &mut self,
        space: Space,
        (key, key_slots): (Vec<u8>, Vec<Slot>),
        value: Vec<u8>,
        link: (Vec<u8>, Vec<Slot>),
        head: &[u8],
    ) {
        let head = head.to_vec();
        self.edits.push(Edit::Chained { space, key, value, key_slots, link, head });
    }

    pub(crate) fn delete(&mut self, space: Space, key: Vec<u8>) {
        self.delete_when(When::Always, space, key);
    }

    pub(crate) fn delete_when(&mut self, when: When, space: Space, key: Vec<u8>) {
        self.edits.push(Edit::Delete { space, key, when });
    }

    pub(crate) fn delete_range(&mut self, space: Space, from: Vec<u8>, to: Vec<u8>) {
        self.edits.push(Edit::DeleteRange { space, from, to });
    }

    /// About how many octets the batch writes.
    pub(crate) fn bytes(&self) -> usize {
        let edit = |e: &Edit| match e {
            Edit::Put { key, value, .. } => key.len() + value.len() + 32,
            Edit::Chained { key, value, .. } => 2 * key.len() + value.len() + 96,
            Edit::Delete { key, .. } => key.len() + 32,
            Edit::DeleteRange { from, to, .. } => from.len() + to.len() + 32,
        };
        self.edits.iter().map(edit).sum::<usize>() + 64 * self.steps.len()
    }
}

/// Why a batch was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The expectation of this index did not hold.
    Expectation(usize),
    /// The counter row of this step does not exist.
    Missing(StepId),
    /// The result of this step would be too large.
    TooLarge(StepId),
    /// The counter of this step was changed meanwhile.
    Changed(StepId),
    /// A counter result does not fit its slot.
    Overflow(StepId),
}

/// Results of the counter steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps(pub(crate) Vec<i64>);

impl Steps {
    /// As 64 bits.
    pub(crate) fn u64(&self, step: StepId) -> u64 {
        self.0.get(step.0).map_or(0, |v| v.unsigned_abs())
    }

    /// As 32 bits; slots are checked before, so that it fits wherever a slot of the same step was patched.
    pub(crate) fn u32(&self, step: StepId) -> u32 {
        u32::try_from(self.u64(step)).unwrap_or(u32::MAX)
    }
}

/// What an applied batch gives back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) steps: Steps,
    /// Whether each guard's key had a row.
    pub(crate) guards: Vec<bool>,
}
