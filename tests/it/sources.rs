//! Where audiences come from: bad input is named and never loses a person, earlier campaigns give and
//! take people, control totals hold the notice.

mod bad_input;
mod controls;
mod copies;
mod earlier;
mod encodings;
mod later;
mod long_rows;
