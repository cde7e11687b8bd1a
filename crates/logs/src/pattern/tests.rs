//! The examples of AWS's page on filter patterns, and what it says cannot be.

use proptest::prelude::*;

use super::*;

fn check(pattern: &str, messages: &[(&str, bool)]) {
    let parsed = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    for (message, want) in messages {
        assert_eq!(parsed.matches(message), *want, "{pattern} on {message}");
    }
}

const BAD: &str = "[ERROR 400] BAD REQUEST";
const UNAUTHORIZED: &str = "[ERROR 401] UNAUTHORIZED REQUEST";
const MISSING: &str = "[ERROR 419] MISSING ARGUMENTS";
const INVALID: &str = "[ERROR 420] INVALID ARGUMENTS";

#[test]
fn terms_match_as_documented() {
    check("ERROR", &[(BAD, true), (MISSING, true), ("error", false), ("", false)]);
    check("ERROR ARGUMENTS", &[(MISSING, true), (INVALID, true), (BAD, false)]);
    check("?ERROR ?ARGUMENTS", &[(BAD, true), (UNAUTHORIZED, true), (MISSING, true), ("INFO", false)]);
    check("?ERROR ?ARGUMENTS REQUEST", &[("[INFO] REQUEST FAILED", true), (MISSING, false)]);
    check("\"INTERNAL SERVER ERROR\"", &[("[ERROR 500] INTERNAL SERVER ERROR", true), (BAD, false)]);
    check("ERROR -ARGUMENTS", &[(BAD, true), (UNAUTHORIZED, true), (MISSING, false), (INVALID, false)]);
    for all in ["", "\" \"", " "] {
        check(all, &[("anything", true), ("", true)]);
    }
    check("%AUTHORIZED%", &[(UNAUTHORIZED, true), ("[SUCCESS 200] AUTHORIZED REQUEST", true), (BAD, false)]);
    check("-%4[01][0-9]%", &[(BAD, false), (INVALID, true)]);
    check("\"say \\\"no\\\"\"", &[("we say \"no\" here", true), ("say no", false)]);
}

const TRAIL: &str = r#"{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111",
    "arrayKey":["value","another value"],"objectList":[{"name":"a","id":1},{"name":"b","id":2}],
    "SomeObject":null,"cluster.name":"c","on":true,"off":false,"n":1000,"small":0.001,"text":"400","code":400}"#;

#[test]
fn json_matches_as_documented() {
    let yes = [
        r#"{ $.eventType = "UpdateTrail" }"#,
        "{ $.eventType = UpdateTrail }",
        "{ $.eventType = Update* }",
        "{ $.sourceIPAddress != 123.123.* }",
        r#"{ $.arrayKey[0] = "value" }"#,
        "{ $.eventType = %Trail% }",
        "{ $.arrayKey[*] = %val.{2}% }",
        r"{ $.* = %111\.111\.111\.1[0-9]{1,2}% }",
        r#"{ $.['cluster.name'] = "c" }"#,
        "{ $.SomeObject IS NULL }",
        "{ $.SomeOtherObject NOT EXISTS }",
        "{ $.on IS TRUE && $.off IS FALSE }",
        "{ $.n = 1e+3 && $.small = 1e-3 && $.n > 999 && $.n <= 1000 && $.code = 4* }",
        "{ $.text = 400 }",
        "{ $.objectList[1].id = 2}",
        "{$.objectList[*].name=b}",
    ];
    for pattern in yes {
        check(pattern, &[(TRAIL, true), ("no JSON", false)]);
    }
    let no = [
        "{ $.sourceIPAddress = 123.123.* }",
        "{ $.SomeOtherObject IS NULL }",
        "{ $.SomeObject NOT EXISTS }",
        "{ $.absent != 1 }",
        "{ $.arrayKey = value }",
        "{ $.eventType > 5 }",
        "{ $.objectList[2].id = 2 }",
    ];
    for pattern in no {
        check(pattern, &[(TRAIL, false), ("no JSON", false)]);
    }
}

#[test]
fn compound_expressions_match_as_documented() {
    let document = r#"{"user":{"id":1,"email":"John.Stiles@example.com"},"users":[{"id":2,
        "email":"John.Doe@example.com"},{"id":3,"email":"Jane.Doe@example.com"}],
        "actions":["GET","PUT","DELETE"],"coordinates":[[0,1,2],[4,5,6],[7,8,9]]}"#;
    let cases = [
        (r#"{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }"#, true),
        (
            r#"{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = "nonmatch" && $.actions[2] = "nonmatch" }"#,
            true,
        ),
        (
            r#"{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = "nonmatch") && $.actions[2] = "nonmatch" }"#,
            false,
        ),
        (r#"{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }"#, false),
        ("{ $.coordinates[1][2] = 6 }", true),
    ];
    for (pattern, want) in cases {
        check(pattern, &[(document, want)]);
    }
}

const ACCESS: &str =
    r#"127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534"#;

#[test]
fn space_delimited_fields_match_as_documented() {
    let yes = [
        r"[ip=%127\.0\.0\.[1-9]%, user, username, timestamp, request =*.html*, status_code = 4*, bytes]",
        "[..., request =*.html*, status_code = 4*, bytes]",
        "[ip, user, username, timestamp, request =*.html*, status_code = 404 || status_code = 410, bytes]",
        "[ip, ..., bytes > 1000]",
        "[ip, ...]",
        "[, , , , , (status = 404 || status = 410), ]",
        "[ip, user = Prod, rest]",
    ];
    for pattern in yes {
        check(pattern, &[(ACCESS, true), ("", false)]);
    }
    let no = [
        "[..., status_code = 5*, bytes]",
        "[ip, ..., bytes > 2000]",
        "[a, b, c, d, e, f, g, h]",
        "[ip, user != Prod, ...]",
    ];
    for pattern in no {
        check(pattern, &[(ACCESS, false)]);
    }
    let lines = [
        "INFO 09/25/2014 12:00:00 GET /service/resource/67 1200",
        "INFO 09/25/2014 12:00:01 POST /service/resource/67/part/111 1310",
        "WARNING 09/25/2014 12:00:02 Invalid user request",
        "ERROR 09/25/2014 12:00:02 Failed to process request",
    ];
    let cases: [(&str, [bool; 4]); 5] = [
        ("[w1=ERROR, w2]", [false, false, false, true]),
        ("[w1=ERROR || w1=WARNING, w2]", [false, false, true, true]),
        ("[w1!=ERROR && w1!=WARNING, w2]", [true, true, false, false]),
        (
            "[logLevel, date, time, method, url=%/service/resource/[0-9]+$%, response_time]",
            [true, false, false, false],
        ),
        (
            "[logLevel, date, time, method, url=%/service/resource/[0-9]+/part/[0-9]+$%, response_time]",
            [false, true, false, false],
        ),
    ];
    for (pattern, want) in cases {
        check(pattern, &lines.into_iter().zip(want).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    for pattern in [
        "foo.bar",
        "\"open",
        "?",
        "%open",
        "%something!%",
        "%(a|b)%",
        "{ $.a }",
        "{ $.a = 1",
        "{ $.a EXISTS }",
        "{ $.a IS NOT NULL }",
        "{ $.a > \"x\" }",
        "{ $.a == 1 }x",
        "{ $.a[*].* = 1 }",
        "{ $..a = 1 }",
        "{ $.a[-1] = 1 }",
        "{ $.a = %x% && $.b = %y% && $.c = %z% }",
        "{ $.*.a = 1 || $.*.b = 1 || $.*.c = 1 || $.*.d = 1 }",
        "[a, ..., b, ...]",
        "[a = 1 || b = 2]",
        "[a",
        &"x".repeat(1025),
    ] {
        assert!(Pattern::parse(pattern).is_err(), "{pattern}");
    }
    let error = Pattern::parse("foo.bar").unwrap_err();
    assert_eq!(error.to_string(), "Invalid character(s) in term 'foo.bar'");
}

#[test]
fn values_are_taken_out() {
    let fields = Pattern::parse("[ip, ..., status, bytes]").unwrap();
    let want = [("$bytes", "1534"), ("$ip", "127.0.0.1"), ("$status", "404")];
    let want = want.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(fields.extract(ACCESS), BTreeMap::from(want));
    assert_eq!(fields.select(ACCESS, "$bytes").as_deref(), Some("1534"));
    assert!(fields.knows("$ip") && !fields.knows("$user") && !fields.knows("$.ip"));
    let json = Pattern::parse("{ $.code = 400 }").unwrap();
    assert_eq!(json.extract(TRAIL), BTreeMap::from([("$.code".to_owned(), "400".to_owned())]));
    assert_eq!(json.select(TRAIL, "$.objectList[0].name").as_deref(), Some("a"));
    assert_eq!(json.select(TRAIL, "$.SomeObject"), None);
    assert!(json.knows("$.a.b") && !json.knows("$a"));
    assert!(!Pattern::parse("a").unwrap().knows("$.a"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_or_the_matcher_fail(
        pattern in r#"[\[{%"?$.=&|()a-c0-2*, \]}\\-]{0,24}"#, message in r#"[\[{%"?$.=:a-c0-2*, \]}]{0,24}"#,
    ) {
        if let Ok(parsed) = Pattern::parse(&pattern) {
            let _ = (parsed.matches(&message), parsed.extract(&message));
        }
    }

    #[test]
    fn a_word_matches_what_contains_it_and_its_negation_the_rest(word in "[a-c_]{1,3}", message in "[a-c_ ]{0,10}") {
        let contained = message.contains(&word);
        prop_assert_eq!(Pattern::parse(&word).unwrap().matches(&message), contained);
        prop_assert_eq!(Pattern::parse(&format!("-{word}")).unwrap().matches(&message), !contained);
    }

    #[test]
    fn numbers_compare_as_numbers(a in -1000_i32..1000, b in -1000_i32..1000) {
        let holds = |operator: &str| {
            let message = format!("{{\"x\":{a}}}");
            let json = Pattern::parse(&format!("{{ $.x {operator} {b} }}")).unwrap().matches(&message);
            let fields = Pattern::parse(&format!("[x {operator} {b}]")).unwrap().matches(&a.to_string());
            assert_eq!(json, fields);
            json
        };
        prop_assert_eq!(holds("="), a == b);
        prop_assert_eq!(holds("!="), a != b);
        prop_assert_eq!(holds("<"), a < b);
        prop_assert_eq!(holds(">="), a >= b);
    }
}
