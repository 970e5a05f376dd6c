//! SEARCH (RFC 9051 6.4.4, RFC 4731, RFC 5182, RFC 5032, RFC 9394), SORT and THREAD (RFC 5256).

use super::{partial_range, sequence_set, spaced};
use crate::command::{
    SearchCommand, SearchKey, SearchReturn, Selector, SortCommand, SortCriterion, SortKey,
    ThreadAlgorithm, ThreadCommand,
};
use crate::date::Day;
use crate::token::{Bad, Tokens};

pub(super) fn search(t: &mut Tokens<'_>, by: Selector) -> Result<SearchCommand, Bad> {
    t.space()?;
    let mut returns = None;
    if t.take_word("RETURN") {
        t.space()?;
        returns = Some(search_returns(t)?);
        t.space()?;
    }
    let mut charset = None;
    if t.take_word("CHARSET") {
        charset = Some(spaced(t, Tokens::astring_text)?.to_ascii_uppercase());
        t.space()?;
    }
    Ok(SearchCommand { by, returns, charset, key: criteria(t)? })
}

/// SORT (RFC 5256, RFC 5267 3): return options, an order, a charset that must be there, criteria.
pub(super) fn sort(t: &mut Tokens<'_>, by: Selector) -> Result<SortCommand, Bad> {
    t.space()?;
    let mut returns = None;
    if t.take_word("RETURN") {
        t.space()?;
        returns = Some(search_returns(t)?);
        t.space()?;
    }
    let order = t.list("sort criteria", 1, sort_criterion)?;
    if order.len() > t.limits.sort_criteria_max {
        return Err(Bad::TooMany("sort criteria"));
    }
    let (charset, key) = charset_and_criteria(t)?;
    Ok(SortCommand { order, search: SearchCommand { by, returns, charset, key } })
}

fn sort_criterion(t: &mut Tokens<'_>) -> Result<SortCriterion, Bad> {
    let reverse = t.take_word("REVERSE");
    if reverse {
        t.space()?;
    }
    let key = match t.word("a sort criterion")?.as_str() {
        "ARRIVAL" => SortKey::Arrival,
        "CC" => SortKey::Cc,
        "DATE" => SortKey::Date,
        "FROM" => SortKey::From,
        "SIZE" => SortKey::Size,
        "SUBJECT" => SortKey::Subject,
        "TO" => SortKey::To,
        // RFC 5957 4
        "DISPLAYFROM" => SortKey::DisplayFrom,
        "DISPLAYTO" => SortKey::DisplayTo,
        _ => return Err(Bad::Unknown("sort criterion")),
    };
    Ok(SortCriterion { key, reverse })
}

/// THREAD (RFC 5256).
pub(super) fn thread(t: &mut Tokens<'_>, by: Selector) -> Result<ThreadCommand, Bad> {
    t.space()?;
    let algorithm = match t.word("a threading algorithm")?.as_str() {
        "ORDEREDSUBJECT" => ThreadAlgorithm::OrderedSubject,
        "REFERENCES" => ThreadAlgorithm::References,
        _ => return Err(Bad::Unknown("threading algorithm")),
    };
    let (charset, key) = charset_and_criteria(t)?;
    Ok(ThreadCommand { algorithm, search: SearchCommand { by, returns: None, charset, key } })
}

/// RFC 5256 5, `search-criteria`: with the spaces in front.
fn charset_and_criteria(t: &mut Tokens<'_>) -> Result<(Option<String>, SearchKey), Bad> {
    let charset = spaced(t, Tokens::astring_text)?.to_ascii_uppercase();
    t.space()?;
    Ok((Some(charset), criteria(t)?))
}

fn criteria(t: &mut Tokens<'_>) -> Result<SearchKey, Bad> {
    let mut budget = t.limits.search_keys_max;
    let mut keys = vec![key(t, 0, &mut budget)?];
    while t.take(b' ') {
        keys.push(key(t, 0, &mut budget)?);
    }
    Ok(all_of(keys))
}

fn all_of(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(last) => {
            keys.push(last);
            SearchKey::And(keys)
        }
        None => SearchKey::All,
    }
}

fn search_returns(t: &mut Tokens<'_>) -> Result<SearchReturn, Bad> {
    let mut returns = SearchReturn::default();
    t.list("return options", 0, |t| {
        match t.word("a return option")?.as_str() {
            "MIN" => returns.min = true,
            "MAX" => returns.max = true,
            "ALL" => returns.all = true,
            "COUNT" => returns.count = true,
            "SAVE" => returns.save = true,
            // RFC 9394 3.1: one at most.
            "PARTIAL" if returns.partial.is_none() => {
                returns.partial = Some(spaced(t, partial_range)?);
            }
            _ => return Err(Bad::Unknown("return option")),
        }
        Ok(())
    })?;
    // RFC 9394 3.1
    if returns.all && returns.partial.is_some() {
        return Err(Bad::Expected("either ALL or PARTIAL"));
    }
    Ok(returns)
}

/// One key. `budget` bounds the keys of the command, `depth` the nesting: a stack never grows with the input.
fn key(t: &mut Tokens<'_>, depth: usize, budget: &mut usize) -> Result<SearchKey, Bad> {
    if depth > t.limits.search_depth_max {
        return Err(Bad::TooDeep);
    }
    *budget = budget.checked_sub(1).ok_or(Bad::TooMany("search keys"))?;
    if t.take(b'(') {
        let mut keys = vec![key(t, depth + 1, budget)?];
        while t.take(b' ') {
            keys.push(key(t, depth + 1, budget)?);
        }
        t.expect(b')', ")")?;
        return Ok(all_of(keys));
    }
    if matches!(t.peek(), Some(b'0'..=b'9' | b'*' | b'$')) {
        return Ok(SearchKey::Sequence(sequence_set(t)?));
    }
    let word = t.word("a search key")?;
    match word.as_str() {
        "NOT" => {
            t.space()?;
            Ok(SearchKey::Not(Box::new(key(t, depth + 1, budget)?)))
        }
        "OR" => {
            t.space()?;
            let first = key(t, depth + 1, budget)?;
            t.space()?;
            Ok(SearchKey::Or(Box::new((first, key(t, depth + 1, budget)?))))
        }
        word => flag_key(word).map_or_else(|| argument_key(t, word), Ok),
    }
}

fn flag_key(word: &str) -> Option<SearchKey> {
    use SearchKey::*;
    let not = |key| Not(Box::new(key));
    Some(match word {
        "ALL" => All,
        "ANSWERED" => Answered,
        "DELETED" => Deleted,
        "DRAFT" => Draft,
        "FLAGGED" => Flagged,
        "SEEN" => Seen,
        "NEW" => New,
        "OLD" => Old,
        "RECENT" => Recent,
        "UNANSWERED" => not(Answered),
        "UNDELETED" => not(Deleted),
        "UNDRAFT" => not(Draft),
        "UNFLAGGED" => not(Flagged),
        "UNSEEN" => not(Seen),
        "SAVEDATESUPPORTED" => SaveDateSupported,
        _ => return None,
    })
}

fn argument_key(t: &mut Tokens<'_>, word: &str) -> Result<SearchKey, Bad> {
    use SearchKey::*;
    let string = |t: &mut Tokens<'_>| spaced(t, |t| Ok(t.astring()?.into_owned()));
    let keyword = |t: &mut Tokens<'_>| spaced(t, |t| Ok(t.atom("a keyword")?.to_owned()));
    let seconds = |t: &mut Tokens<'_>| spaced(t, |t| Ok(u64::from(t.nz_number()?)));
    Ok(match word {
        "KEYWORD" => Keyword(keyword(t)?),
        "UNKEYWORD" => Not(Box::new(Keyword(keyword(t)?))),
        "BCC" => Bcc(string(t)?),
        "BODY" => Body(string(t)?),
        "CC" => Cc(string(t)?),
        "FROM" => From(string(t)?),
        "SUBJECT" => Subject(string(t)?),
        "TEXT" => Text(string(t)?),
        "TO" => To(string(t)?),
        "HEADER" => {
            let name = spaced(t, Tokens::astring_text)?;
            Header(name, string(t)?)
        }
        "BEFORE" => Before(spaced(t, day)?),
        "ON" => On(spaced(t, day)?),
        "SINCE" => Since(spaced(t, day)?),
        "SENTBEFORE" => SentBefore(spaced(t, day)?),
        "SENTON" => SentOn(spaced(t, day)?),
        "SENTSINCE" => SentSince(spaced(t, day)?),
        "LARGER" => Larger(spaced(t, Tokens::number64)?),
        "SMALLER" => Smaller(spaced(t, Tokens::number64)?),
        "OLDER" => Older(seconds(t)?),
        "YOUNGER" => Younger(seconds(t)?),
        "UID" => Uid(spaced(t, sequence_set)?),
        "MODSEQ" => modseq(t)?,
        // RFC 8514 4.3
        "SAVEDBEFORE" => SavedBefore(spaced(t, day)?),
        "SAVEDON" => SavedOn(spaced(t, day)?),
        "SAVEDSINCE" => SavedSince(spaced(t, day)?),
        // RFC 8474 6
        "EMAILID" => EmailId(spaced(t, object_id)?),
        "THREADID" => ThreadId(spaced(t, object_id)?),
        _ => return Err(Bad::Unknown("search key")),
    })
}

/// RFC 8474 7, `objectid`.
fn object_id(t: &mut Tokens<'_>) -> Result<String, Bad> {
    let id = t.atom("an object identifier")?;
    let fits = id.len() <= 255
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if fits { Ok(id.to_owned()) } else { Err(Bad::Expected("an object identifier")) }
}

/// RFC 7162 3.1.5: an entry name and type may stand first; flags share one mod-sequence here, so both are skipped.
fn modseq(t: &mut Tokens<'_>) -> Result<SearchKey, Bad> {
    t.space()?;
    if t.at_string() {
        t.string()?;
        t.space()?;
        match t.word("an entry type")?.as_str() {
            "PRIV" | "SHARED" | "ALL" => t.space()?,
            _ => return Err(Bad::Expected("an entry type")),
        }
    }
    Ok(SearchKey::ModSeq(t.number64()?))
}

/// `date`, with or without quotes.
fn day(t: &mut Tokens<'_>) -> Result<Day, Bad> {
    let quoted = t.take(b'"');
    let day = Day::parse(t.atom("a date")?.as_bytes()).ok_or(Bad::Date)?;
    if quoted {
        t.expect(b'"', "a closing quote")?;
    }
    Ok(day)
}
