//! Signatures that botocore 1.43 printed, the round trip, and what must be refused.

use std::time::Duration;

use proptest::prelude::*;
use types::Timestamp;

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "FwoGZXIvYXdzE//token+with/slashes==";
/// 2026-11-22T19:45:00Z
const NOW: Timestamp = Timestamp::from_millis(1_795_376_700_000);

struct Call {
    method: &'static str,
    host: &'static str,
    path: &'static str,
    query: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    token: Option<&'static str>,
    scope: Scope<'static>,
    signed_headers: &'static str,
    signature: &'static str,
}

const fn scope(region: &'static str, service: &'static str) -> Scope<'static> {
    Scope { region, service }
}

const fn iam(path: &'static str, query: &'static str, signature: &'static str) -> Call {
    Call {
        method: "GET",
        host: "localhost",
        path,
        query,
        headers: &[],
        body: "",
        token: None,
        scope: scope("us-east-1", "iam"),
        signed_headers: "host;x-amz-date",
        signature,
    }
}

const CALLS: &[Call] = &[
    Call {
        method: "POST",
        host: "127.0.0.1:4566",
        path: "/",
        query: "",
        headers: &[("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")],
        body: "Action=GetCallerIdentity&Version=2011-06-15",
        token: None,
        scope: scope("us-east-1", "sts"),
        signed_headers: "content-type;host;x-amz-date",
        signature: "64c2b2fa85bdf81da09458dd832d76f2e67d3308cbc223628e68049647bf7fc6",
    },
    Call {
        method: "POST",
        host: "127.0.0.1:4566",
        path: "/",
        query: "",
        headers: &[
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", "AmazonEC2ContainerServiceV20141113.ListClusters"),
        ],
        body: "{}",
        token: None,
        scope: scope("ap-northeast-2", "ecs"),
        signed_headers: "content-type;host;x-amz-date;x-amz-target",
        signature: "7c6822b2b1d0e2592770a602b5cf87769ae0abe77514af4ac3c948afe4dbd727",
    },
    Call {
        method: "POST",
        host: "ecs.ap-northeast-2.amazonaws.com",
        path: "/",
        query: "",
        headers: &[("X-Amz-Target", "x")],
        body: "{}",
        token: Some(TOKEN),
        scope: scope("ap-northeast-2", "ecs"),
        signed_headers: "host;x-amz-date;x-amz-security-token;x-amz-target",
        signature: "9b1ddac9e7e7962c000474473984c3b0420eea35eab469794e9d33dd2c894bc5",
    },
    iam("/a/./b//../c%20d/%7Ee/+f/", "", "1c18d9b03c607e44f5e500d26ec22d94b4f3dd7bd1017c1e1de15ff16efec6de"),
    iam("/../..//./", "", "2afd7498c9239bc5e9960286064ae4df81de22f98588661e5a5c8883bc3fac4a"),
    iam("/%E1%88%B4/x;y=1,2:3@4", "", "4fa5897cee99cf3df40fee6fa530a9199c187d74e55d005739e77310d6c0b97a"),
    iam("", "", "2afd7498c9239bc5e9960286064ae4df81de22f98588661e5a5c8883bc3fac4a"),
    iam(
        "/",
        "b=2&a=1&a=0&aa=%20x&a-b=1&empty=&flag&sp=%20%2B%2F~~&u=%E1%88%B4&A=x&a%3Db=c&k=a%3Db%26c",
        "b6db0396a19ca301bfc2cb84894700e49d1ecc648644deec1c40593ba72e5e21",
    ),
    Call {
        headers: &[("My-Header1", "   a   b   c  "), ("My-Header2", "\"a   b   c\"")],
        signed_headers: "host;my-header1;my-header2;x-amz-date",
        ..iam("/", "", "d1095e0d6d63dbda27922c2a2ba8937734dcc88e71884e90831631868cf9f370")
    },
];

/// `(name, value)` as a request holds them, from owned text.
fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn credentials(token: Option<&str>) -> Credentials<'_> {
    Credentials { access_key_id: "AKIDEXAMPLE", secret_access_key: SECRET, session_token: token }
}

/// The call's headers with the host, and with what signing adds.
fn signed(call: &Call, now: Timestamp) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = vec![("Host".to_owned(), call.host.to_owned())];
    headers.extend(call.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let request =
        Request { method: call.method, path: call.path, query: call.query, headers: &borrowed(&headers) };
    let added = sign(request, &sha256(call.body.as_bytes()), credentials(call.token), call.scope, now);
    headers.extend(added.into_iter().map(|(name, value)| (name.to_owned(), value)));
    headers
}

/// All steps that a server takes.
fn check(request: Request<'_>, body: &[u8], scope: Scope<'_>, now: Timestamp) -> Result<(), Refusal> {
    let presented = Presented::parse(request)?;
    if presented.access_key_id != "AKIDEXAMPLE" {
        return Err(Refusal::UnknownAccessKey);
    }
    presented.check_scope(scope.service, |region| region == scope.region)?;
    presented.check_time(now, Family::Query)?;
    presented.verify(request, SECRET, &sha256(body), &SigningKeys::new())
}

#[test]
fn signatures_are_those_that_botocore_prints() {
    for call in CALLS {
        let headers = signed(call, NOW);
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/{}/{}/aws4_request, SignedHeaders={}, Signature={}",
            call.scope.region, call.scope.service, call.signed_headers, call.signature
        );
        assert_eq!(headers.last().unwrap().1, expected, "{}?{}", call.path, call.query);
        let headers = borrowed(&headers);
        let request = Request { method: call.method, path: call.path, query: call.query, headers: &headers };
        assert_eq!(check(request, call.body.as_bytes(), call.scope, NOW), Ok(()), "{}", call.path);
    }
}

#[test]
fn presigned_queries_are_those_that_botocore_prints() {
    let host: &[(&str, &[u8])] = &[("host", b"localhost")];
    let empty = hex_sha256(b"");
    let request = Request {
        method: "GET",
        path: "/p%20q",
        query: "Action=GetCallerIdentity&Version=2011-06-15",
        headers: host,
    };
    let query =
        presign(request, &empty, credentials(None), scope("us-east-1", "sts"), NOW, Duration::from_secs(60));
    assert_eq!(
        query,
        "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIDEXAMPLE%2F20261122%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20261122T194500Z\
         &X-Amz-Expires=60&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=3271178895cd09d84f2ecf31e036cf10784aff70cf4b0369081acad2ade20380"
    );
    let query = presign(
        Request { path: "/", query: "x=%2Fy%20z", ..request },
        &empty,
        credentials(Some(TOKEN)),
        scope("eu-west-1", "sts"),
        NOW,
        Duration::from_secs(604_800),
    );
    assert!(
        query.ends_with("&X-Amz-Signature=a33d2076549abb59650f8d9f45db7cc8f092ef64ec5da046ecafb97b204d2ce6"),
        "{query}"
    );
    let request = Request { path: "/", query: &query, ..request };
    let week = Timestamp::from_millis(NOW.as_millis() + 604_800_000);
    assert_eq!(check(request, b"", scope("eu-west-1", "sts"), week), Ok(()));
    assert_eq!(Presented::parse(request).unwrap().security_token.as_deref(), Some(TOKEN));
    let late = Timestamp::from_millis(week.as_millis() + 1);
    assert_eq!(check(request, b"", scope("eu-west-1", "sts"), late), Err(Refusal::PresignedExpired));
    assert_eq!(check(request, b"other", scope("eu-west-1", "sts"), NOW), Err(Refusal::SignatureDoesNotMatch));
}

#[test]
fn a_presigned_payload_may_stay_unsigned_and_another_may_not() {
    let host: &[(&str, &[u8])] = &[("host", b"localhost")];
    let request =
        Request { method: "PUT", path: "/", query: "X-Amz-Content-Sha256=UNSIGNED-PAYLOAD", headers: host };
    let scope = scope("us-east-1", "sts");
    let query = presign(request, UNSIGNED_PAYLOAD, credentials(None), scope, NOW, Duration::from_secs(9));
    assert_eq!(check(Request { query: &query, ..request }, b"any", scope, NOW), Ok(()));

    for value in [UNSIGNED_PAYLOAD, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", &hex_sha256(b"other")] {
        let call = Call { headers: &[], ..iam("/", "", "") };
        let mut headers = signed(&call, NOW);
        headers.push(("x-amz-content-sha256".to_owned(), value.to_owned()));
        let headers = borrowed(&headers);
        let refusal =
            check(Request { method: "GET", path: "/", query: "", headers: &headers }, b"", call.scope, NOW);
        assert!(matches!(refusal, Err(Refusal::Payload(_))), "{value}: {refusal:?}");
    }
}

fn refusal_of(headers: &[(&str, &[u8])], query: &str) -> Refusal {
    let request = Request { method: "POST", path: "/", query, headers };
    check(request, b"", scope("us-east-1", "iam"), NOW).unwrap_err()
}

#[test]
fn refusals_have_aws_codes_and_words() {
    let good = signed(&iam("/", "", ""), NOW);
    let with = |name: &str, value: &str| {
        let mut headers = good.clone();
        headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        headers.push((name.to_owned(), value.to_owned()));
        headers
    };
    let authorization = good.last().unwrap().1.clone();
    let mut shown = String::new();
    let mut show = |what: &str, headers: &[(String, String)], query: &str| {
        let refusal = refusal_of(&borrowed(headers), query);
        for family in [Family::Query, Family::Ec2, Family::Json] {
            let (status, code) = (refusal.status(family), refusal.code(family));
            shown.push_str(&format!("{what}: {status} {code}: {}\n", refusal.message(family)));
        }
    };
    show("not signed", &good[..2], "");
    show("another algorithm", &with("authorization", "Basic dXNlcjpwdw=="), "");
    show("nothing in it", &with("authorization", "AWS4-HMAC-SHA256 Credential="), "");
    show("no pairs", &with("authorization", "AWS4-HMAC-SHA256 what"), "");
    show("unknown key", &with("authorization", &authorization.replace("AKIDEXAMPLE", "AKIDOTHER")), "");
    show("another region", &with("authorization", &authorization.replace("us-east-1", "mars-north-1")), "");
    show("another service", &with("authorization", &authorization.replace("/iam/", "/ecs/")), "");
    show("short credential", &with("authorization", &authorization.replace("/iam/", "/")), "");
    show("another day", &with("authorization", &authorization.replace("/20261122/", "/20261121/")), "");
    show("another terminator", &with("authorization", &authorization.replace("aws4_request", "x")), "");
    let mut undated = good.clone();
    undated.retain(|(name, _)| name != "x-amz-date");
    show("no date", &undated, "");
    show("a strange date", &with("x-amz-date", "yesterday"), "");
    show("host not signed", &with("authorization", &authorization.replace("=host;", "=")), "");
    show("target not signed", &with("x-amz-target", "ECS.DeleteCluster"), "");
    show("two mechanisms", &good, "X-Amz-Algorithm=AWS4-HMAC-SHA256");
    show("another method", &good, "");
    show("old", &signed(&iam("/", "", ""), Timestamp::from_millis(NOW.as_millis() - 900_001)), "");
    show("early", &signed(&iam("/", "", ""), Timestamp::from_millis(NOW.as_millis() + 901_000)), "");
    expect_test::expect_file!["refusals.txt"].assert_eq(&shown);
}

#[test]
fn the_header_date_does_where_there_is_no_x_amz_date() {
    let headers: &[(&str, &[u8])] = &[
        ("host", b"localhost"),
        ("date", b"Sun, 22 Nov 2026 19:45:00 GMT"),
        (
            "authorization",
            b"AWS4-HMAC-SHA256 Credential=K/20261122/us-east-1/iam/aws4_request, SignedHeaders=date;host, \
              Signature=0000000000000000000000000000000000000000000000000000000000000000",
        ),
    ];
    let presented = Presented::parse(Request { method: "GET", path: "/", query: "", headers }).unwrap();
    assert_eq!(presented.timestamp, NOW);
}

fn percent_encoded(text: &str) -> String {
    let mut out = Vec::new();
    text.bytes().for_each(|byte| canonical::percent_encode(&mut out, byte));
    String::from_utf8(out).unwrap()
}

proptest! {
    #[test]
    fn what_is_signed_verifies(
        path in "(/[a-zA-Z0-9%/._~ é-]{0,6}){0,4}",
        query in proptest::collection::vec(("[a-c=& +~%é]{0,4}", "[a-c=& +~%é]{0,4}"), 0..5),
        value in "[ -~]{0,20}",
        body in proptest::collection::vec(any::<u8>(), 0..64),
        token in proptest::option::of("[A-Za-z0-9+/=]{1,40}"),
        presigned in any::<bool>(),
    ) {
        let path = if path.is_empty() { "/".to_owned() } else { path.replace('%', "%25").replace(' ', "%20").replace('é', "%C3%A9") };
        let query: Vec<String> = query.iter()
            .map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value))).collect();
        let query = query.join("&");
        let scope = scope("us-east-1", "iam");
        let host: Vec<(String, String)> = vec![
            ("Host".to_owned(), "localhost".to_owned()), ("X-Value".to_owned(), value),
        ];
        let bare = borrowed(&host);
        let request = Request { method: "POST", path: &path, query: &query, headers: &bare };
        if presigned {
            let query = presign(request, &hex_sha256(&body), credentials(token.as_deref()), scope, NOW, Duration::from_secs(1));
            prop_assert_eq!(check(Request { query: &query, ..request }, &body, scope, NOW), Ok(()));
        } else {
            let added = sign(request, &sha256(&body), credentials(token.as_deref()), scope, NOW);
            let mut headers = bare.clone();
            headers.extend(added.iter().map(|(name, value)| (*name, value.as_bytes())));
            prop_assert_eq!(check(Request { headers: &headers, ..request }, &body, scope, NOW), Ok(()));
        }
    }

    #[test]
    fn any_changed_byte_is_refused(place in 0_usize..10_000, change in 1_u8..=255, part in 0_usize..5) {
        let call = Call {
            method: "POST",
            headers: &[("x-amz-target", "ECS.ListClusters")],
            body: "{\"cluster\":\"a\"}",
            ..iam("/path/x", "a=1&b=2", "")
        };
        let mut headers = signed(&call, NOW);
        let (mut method, mut path, mut query) =
            (call.method.as_bytes().to_vec(), call.path.as_bytes().to_vec(), call.query.as_bytes().to_vec());
        let mut body = call.body.as_bytes().to_vec();
        let mut values: Vec<Vec<u8>> = headers.iter().map(|(_, value)| value.as_bytes().to_vec()).collect();
        let index = place % values.len();
        let bytes = match part {
            0 => &mut method,
            1 => &mut path,
            2 => &mut query,
            3 => &mut body,
            _ => &mut values[index],
        };
        let at = place % bytes.len();
        let before = bytes[at];
        bytes[at] ^= change;
        let after = bytes[at];
        // A request line is ASCII, or hyper refuses it before.
        prop_assume!([&method, &path, &query].iter().all(|part| part.is_ascii()));
        // White space around and between the parts of a header is not signed.
        prop_assume!(!(before.is_ascii_whitespace() && after.is_ascii_whitespace()));
        // Of the authorization only what is claimed counts, not the comma's neighbours.
        headers.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
        let borrowed: Vec<(&str, &[u8])> =
            headers.iter().zip(&values).map(|((name, _), value)| (name.as_str(), value.as_slice())).collect();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (method, path, query) = (text(&method), text(&path), text(&query));
        let request = Request { method: &method, path: &path, query: &query, headers: &borrowed };
        prop_assert!(check(request, &body, call.scope, NOW).is_err(), "{request:?}");
    }

    #[test]
    fn hostile_claims_never_panic(authorization in "[ -~]{0,80}|AWS4-HMAC-SHA256 [A-Za-z=,/ ]{0,80}", query in "[ -~]{0,60}|X-Amz-[A-Za-z=&%+]{0,60}") {
        let headers: &[(&str, &[u8])] = &[("authorization", authorization.as_bytes()), ("é-x-amz", b"\xff")];
        let request = Request { method: "GET", path: "", query: &query, headers };
        let _ = Presented::parse(request);
        let mut out = Vec::new();
        canonical_request(&mut out, request, "authorization;host", b"");
    }
}
