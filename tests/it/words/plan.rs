//! What a plan refuses and counts for the sake of words.
