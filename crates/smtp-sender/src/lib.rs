//! Door sign to come.
