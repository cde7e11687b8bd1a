//! The service as its clients call it.

mod refused;
mod shown;
mod targets;

use expect_test::Expect;

use crate::Service;
use crate::testing::{Fixture, element};

/// A VPC with two zones, and in it a load balancer `lb` that forwards port 80 to the group `app`.
struct Stack {
    fixture: Fixture,
    names: Vec<(&'static str, String)>,
}

impl Stack {
    /// The VPC and another one; no load balancer.
    fn network() -> Self {
        let mut stack = Self { fixture: Fixture::new(), names: Vec::new() };
        stack.make(Service::Ec2, "CreateVpc", "CidrBlock=10.194.0.0/16", "vpcId", "vpc");
        for (name, third, zone) in [("a", 0, "a"), ("b", 1, "b"), ("a2", 2, "a"), ("c", 3, "c")] {
            let body =
                format!("VpcId={{vpc}}&CidrBlock=10.194.{third}.0/24&AvailabilityZone=ap-northeast-2{zone}");
            stack.make(Service::Ec2, "CreateSubnet", &body, "subnetId", name);
        }
        let tiny = "VpcId={vpc}&CidrBlock=10.194.9.0/28&AvailabilityZone=ap-northeast-2d";
        stack.make(Service::Ec2, "CreateSubnet", tiny, "subnetId", "tiny");
        stack.make(Service::Ec2, "CreateInternetGateway", "", "internetGatewayId", "gateway");
        stack.ec2("AttachInternetGateway", "VpcId={vpc}&InternetGatewayId={gateway}");
        let group = "VpcId={vpc}&GroupName=web&GroupDescription=d";
        stack.make(Service::Ec2, "CreateSecurityGroup", group, "groupId", "group");
        stack.make(Service::Ec2, "CreateVpc", "CidrBlock=10.9.0.0/16", "vpcId", "vpc2");
        for (name, third, zone) in [("x", 0, "a"), ("y", 1, "b")] {
            let body =
                format!("VpcId={{vpc2}}&CidrBlock=10.9.{third}.0/24&AvailabilityZone=ap-northeast-2{zone}");
            stack.make(Service::Ec2, "CreateSubnet", &body, "subnetId", name);
        }
        let group = "VpcId={vpc2}&GroupName=web&GroupDescription=d";
        stack.make(Service::Ec2, "CreateSecurityGroup", group, "groupId", "group2");
        stack
    }

    fn new() -> Self {
        let mut stack = Self::network();
        let both = "Name=lb&Subnets.member.1={a}&Subnets.member.2={b}&SecurityGroups.member.1={group}";
        stack.make(Service::Elbv2, "CreateLoadBalancer", both, "LoadBalancerArn", "lb");
        let group = "Name=app&Protocol=HTTP&Port=3000&VpcId={vpc}&TargetType=ip";
        stack.make(Service::Elbv2, "CreateTargetGroup", group, "TargetGroupArn", "app");
        let listener = "LoadBalancerArn={lb}&Protocol=HTTP&Port=80&DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={app}";
        stack.make(Service::Elbv2, "CreateListener", listener, "ListenerArn", "listener");
        stack
    }

    /// Calls, and remembers what an element of the answer holds.
    #[track_caller]
    fn make(
        &mut self,
        service: Service,
        action: &str,
        body: &str,
        named: &str,
        name: &'static str,
    ) -> String {
        let answer = self.fixture.ok(service, action, &self.fill(body));
        self.names.push((name, element(&answer, named).to_owned()));
        answer
    }

    /// The load balancer's id: the last part of its ARN.
    fn balancer(&self) -> String {
        self.fill("{lb}").rsplit('/').next().unwrap().to_owned()
    }

    /// Replaces `{vpc}`, `{a}`… in a body.
    fn fill(&self, body: &str) -> String {
        self.names
            .iter()
            .fold(body.to_owned(), |body, (name, value)| body.replace(&format!("{{{name}}}"), value))
    }

    /// The other way round; times and what else is random go too. One element a line.
    fn hide(&self, text: &str) -> String {
        let mut text = self
            .names
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(value, &format!("{{{name}}}")));
        for (from, to, with) in [
            ("<CreatedTime>", "</CreatedTime>", "TIME"),
            (" xmlns=\"", "\"", ""),
            ("<DNSName>lb-", ".ap-northeast-2", "N"),
            ("<DNSName>internal-in-", ".ap-northeast-2", "N"),
        ] {
            let mut at = 0;
            while let Some(start) = text[at..].find(from).map(|start| at + start + from.len()) {
                let end = start + text[start..].find(to).unwrap();
                text.replace_range(start..end, with);
                at = start;
            }
        }
        lines(&text.replace(" xmlns=\"\"", "").replace("&apos;", "'").replace("&quot;", "\""))
    }

    #[track_caller]
    fn ec2(&self, action: &str, body: &str) -> String {
        self.fixture.ok(Service::Ec2, action, &self.fill(body))
    }

    #[track_caller]
    fn ok(&self, action: &str, body: &str) -> String {
        self.fixture.ok(Service::Elbv2, action, &self.fill(body))
    }

    /// The call must succeed and answer this.
    #[track_caller]
    fn shows(&self, action: &str, body: &str, expected: &Expect) {
        expected.assert_eq(&self.hide(&self.ok(action, body)));
    }

    /// The call must fail with this code and these words, and leave everything as it is.
    #[track_caller]
    fn refused(&self, action: &str, body: &str, code: &str, words: &str) {
        let before = self.fixture.api.store.snapshot().sequence();
        let (status, text) = self.fixture.call(Service::Elbv2, action, &self.fill(body));
        let text =
            text.replace("&apos;", "'").replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
        assert_eq!(status, 400, "{action} {body}: {text}");
        assert_eq!(element(&text, "Code"), code, "{action} {body}: {text}");
        let words = self.fill(words);
        assert!(element(&text, "Message").contains(&words), "{action} {body}:\n{text}\nis not\n{words}");
        assert_eq!(self.fixture.api.store.snapshot().sequence(), before, "{action} {body} changed rows");
    }
}

/// An XML document with one element a line, its metadata left out.
fn lines(xml: &str) -> String {
    let xml = &xml[..xml.find("<ResponseMetadata>").unwrap_or(xml.len())];
    let (mut lines, mut depth) = (String::new(), 0);
    let mut rest = xml;
    while let Some(open) = rest.find('<') {
        let close = open + rest[open..].find('>').unwrap();
        let (tag, after) = (&rest[open..=close], &rest[close + 1..]);
        rest = after;
        if tag.starts_with("</") {
            depth -= 1;
            continue;
        }
        let name = &tag[1..tag.len() - 1];
        let indent = "  ".repeat(depth);
        let end = format!("</{name}>");
        let value = after.find(&end).map(|end| &after[..end]).filter(|value| !value.contains('<'));
        if tag.ends_with("/>") {
            lines += &format!("{indent}{}\n", &tag[1..tag.len() - 2]);
        } else if let Some(value) = value {
            lines += format!("{indent}{name}: {value}").trim_end();
            lines.push('\n');
            rest = &after[value.len() + end.len()..];
        } else {
            lines += &format!("{indent}{name}\n");
            depth += 1;
        }
    }
    lines
}
