//! LIST in its basic and extended form (RFC 9051 6.3.9).

use super::status_items;
use crate::command::{ListCommand, ListReturn, ListSelection};
use crate::token::{Bad, Tokens};

pub(super) fn list(t: &mut Tokens<'_>) -> Result<ListCommand, Bad> {
    let mut command = ListCommand::default();
    if t.peek() == Some(b'(') {
        command.extended = true;
        command.selection = selection(t)?;
        t.space()?;
    }
    command.reference = t.reference()?;
    t.space()?;
    if t.peek() == Some(b'(') {
        command.extended = true;
        command.patterns = t.list("patterns", 1, Tokens::pattern)?;
    } else {
        command.patterns = vec![t.pattern()?];
    }
    if t.take(b' ') {
        if !t.take_word("RETURN") {
            return Err(Bad::Expected("RETURN"));
        }
        t.space()?;
        command.extended = true;
        command.returns = returns(t)?;
    }
    Ok(command)
}

fn selection(t: &mut Tokens<'_>) -> Result<ListSelection, Bad> {
    let mut selection = ListSelection::default();
    t.list("selection options", 0, |t| {
        match t.word("a selection option")?.as_str() {
            "SUBSCRIBED" => selection.subscribed = true,
            "REMOTE" => selection.remote = true,
            "RECURSIVEMATCH" => selection.recursive_match = true,
            "SPECIAL-USE" => selection.special_use = true,
            _ => return Err(Bad::Unknown("selection option")),
        }
        Ok(())
    })?;
    // RFC 5258 3.1: RECURSIVEMATCH alone, or with REMOTE only, is a syntax error.
    if selection.recursive_match && !selection.subscribed && !selection.special_use {
        return Err(Bad::Expected("SUBSCRIBED or SPECIAL-USE with RECURSIVEMATCH"));
    }
    Ok(selection)
}

fn returns(t: &mut Tokens<'_>) -> Result<ListReturn, Bad> {
    let mut returns = ListReturn::default();
    t.list("return options", 0, |t| {
        match t.word("a return option")?.as_str() {
            "SUBSCRIBED" => returns.subscribed = true,
            "CHILDREN" => returns.children = true,
            "MYRIGHTS" => returns.my_rights = true,
            "SPECIAL-USE" => returns.special_use = true,
            "STATUS" => {
                t.space()?;
                returns.status = status_items(t)?;
            }
            _ => return Err(Bad::Unknown("return option")),
        }
        Ok(())
    })?;
    Ok(returns)
}
