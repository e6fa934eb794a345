pub const KIND: &str = "day1.template";
