//! From an expression's text to its tree.

use std::str::FromStr;

use super::ExpressionError;

/// Deeper than any expression that a person writes.
const DEEPEST: usize = 64;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A number.
    Number(f64),
    /// The id of a query; `REPEAT` and `LINEAR` too, where FILL takes them.
    Name(String),
    /// `-x`
    Negative(Box<Expression>),
    /// `a + b`
    Binary(Operator, Box<Expression>, Box<Expression>),
    /// `[a, b]`
    List(Vec<Expression>),
    /// `AVG(a)`
    Call(Function, Vec<Expression>),
}

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is its sign")]
pub enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

macro_rules! functions {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A function.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "AWS's page describes each")]
        pub enum Function { $($name),* }

        impl Function {
            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Function::$name => $text),* }
            }
        }

        impl FromStr for Function {
            type Err = ExpressionError;

            fn from_str(text: &str) -> Result<Self, ExpressionError> {
                match text.to_ascii_uppercase().as_str() {
                    $($text => Ok(Function::$name),)*
                    _ => Err(ExpressionError::Function(text.to_owned())),
                }
            }
        }
    };
}

functions! {
    Abs = "ABS", Average = "AVG", Ceil = "CEIL", DatapointCount = "DATAPOINT_COUNT", Diff = "DIFF",
    DiffTime = "DIFF_TIME", Fill = "FILL", First = "FIRST", Floor = "FLOOR", If = "IF", Last = "LAST", Log = "LOG",
    Log10 = "LOG10", Max = "MAX", MetricCount = "METRIC_COUNT", Metrics = "METRICS", Min = "MIN",
    Period = "PERIOD", Rate = "RATE", RunningSum = "RUNNING_SUM", StandardDeviation = "STDDEV", Sum = "SUM",
    TimeSeries = "TIME_SERIES",
}

/// Reads an expression.
///
/// # Errors
/// When it is none, or calls what is not known here.
pub fn parse(text: &str) -> Result<Expression, ExpressionError> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let expression = parser.binary(0)?;
    match parser.peek() {
        None => Ok(expression),
        Some(token) => Err(unexpected(token)),
    }
}

impl Expression {
    /// The ids that it refers to, in order.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.collect(&mut names);
        names
    }

    fn collect<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Expression::Number(_) => {}
            Expression::Name(name) if is_filling(name) => {}
            Expression::Name(name) => names.push(name),
            Expression::Negative(inner) => inner.collect(names),
            Expression::Binary(_, left, right) => {
                left.collect(names);
                right.collect(names);
            }
            Expression::List(items) | Expression::Call(_, items) => {
                items.iter().for_each(|item| item.collect(names));
            }
        }
    }

    /// Whether it calls METRICS, which stands for every metric of the request.
    pub fn takes_all(&self) -> bool {
        match self {
            Expression::Number(_) | Expression::Name(_) => false,
            Expression::Negative(inner) => inner.takes_all(),
            Expression::Binary(_, left, right) => left.takes_all() || right.takes_all(),
            Expression::Call(Function::Metrics, _) => true,
            Expression::List(items) | Expression::Call(_, items) => items.iter().any(Expression::takes_all),
        }
    }
}

/// How FILL fills. Ids begin with a small letter, so that these are none.
pub(super) fn is_filling(name: &str) -> bool {
    matches!(name, "REPEAT" | "LINEAR")
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Word(String),
    Text(String),
    Sign(&'static str),
}

const SIGNS: [&str; 19] =
    ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "^", "(", ")", "[", "]", ",", "%"];

fn tokens(text: &str) -> Result<Vec<Token>, ExpressionError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = |is: fn(char) -> bool| rest.find(|c| !is(c)).unwrap_or(rest.len());
        if first.is_ascii_digit() || first == '.' {
            let end = length(|c| c.is_ascii_digit() || c == '.');
            let number =
                rest[..end].parse().map_err(|_| syntax(format!("'{}' is no number", &rest[..end])))?;
            tokens.push(Token::Number(number));
            rest = &rest[end..];
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = length(|c| c.is_ascii_alphanumeric() || c == '_');
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if let Some(quoted) = rest.strip_prefix(['"', '\'']) {
            let end = quoted.find(first).ok_or_else(|| syntax("a text does not end".to_owned()))?;
            tokens.push(Token::Text(quoted[..end].to_owned()));
            rest = &quoted[end + 1..];
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| syntax(format!("'{first}' stands in no expression")))?;
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, ExpressionError> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token.ok_or_else(|| syntax("the expression ends too early".to_owned()))
    }

    fn takes(&mut self, sign: &'static str) -> bool {
        let found = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn needs(&mut self, sign: &'static str) -> Result<(), ExpressionError> {
        if self.takes(sign) {
            return Ok(());
        }
        Err(self.peek().map_or_else(|| syntax(format!("a '{sign}' is missing")), unexpected))
    }

    fn binary(&mut self, least: u8) -> Result<Expression, ExpressionError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(syntax("the expression is too deep".to_owned()));
        }
        let mut left = self.unary()?;
        while let Some((operator, binding)) = self.peek().and_then(operator)
            && binding >= least
        {
            self.at += 1;
            // A power binds to the right: 2^3^2.
            let next = if operator == Operator::Power { binding } else { binding + 1 };
            let right = self.binary(next)?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, ExpressionError> {
        if self.takes("-") {
            // A power binds stronger than a sign.
            return Ok(Expression::Negative(Box::new(self.binary(BINDING_OF_SIGNS)?)));
        }
        match self.next()? {
            Token::Number(number) => Ok(Expression::Number(number)),
            Token::Sign("(") => {
                let inner = self.binary(0)?;
                self.needs(")")?;
                Ok(inner)
            }
            Token::Sign("[") => Ok(Expression::List(self.arguments("]")?)),
            Token::Word(word) if self.takes("(") => {
                let function = word.parse()?;
                // METRICS("err") takes those whose ids hold a text.
                if function == Function::Metrics
                    && let Some(Token::Text(text)) = self.peek().cloned()
                {
                    self.at += 1;
                    self.needs(")")?;
                    return Ok(Expression::Call(function, vec![Expression::Name(text)]));
                }
                Ok(Expression::Call(function, self.arguments(")")?))
            }
            Token::Word(word) if word.starts_with(|c: char| c.is_ascii_lowercase()) || is_filling(&word) => {
                Ok(Expression::Name(word))
            }
            Token::Word(word) => Err(syntax(format!("'{word}' is no Id of a query"))),
            token => Err(unexpected(&token)),
        }
    }

    fn arguments(&mut self, end: &'static str) -> Result<Vec<Expression>, ExpressionError> {
        let mut arguments = Vec::new();
        if self.takes(end) {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.binary(0)?);
            if self.takes(end) {
                return Ok(arguments);
            }
            self.needs(",")?;
        }
    }
}

const BINDING_OF_SIGNS: u8 = 6;

fn operator(token: &Token) -> Option<(Operator, u8)> {
    let Token::Sign(sign) = token else {
        let Token::Word(word) = token else { return None };
        return match word.as_str() {
            "OR" => Some((Operator::Or, 1)),
            "AND" => Some((Operator::And, 2)),
            _ => None,
        };
    };
    Some(match *sign {
        "||" => (Operator::Or, 1),
        "&&" => (Operator::And, 2),
        "==" => (Operator::Equal, 3),
        "!=" => (Operator::Unequal, 3),
        "<" => (Operator::Less, 3),
        "<=" => (Operator::LessOrEqual, 3),
        ">" => (Operator::Greater, 3),
        ">=" => (Operator::GreaterOrEqual, 3),
        "+" => (Operator::Add, 4),
        "-" => (Operator::Subtract, 4),
        "*" => (Operator::Multiply, 5),
        "/" => (Operator::Divide, 5),
        "^" => (Operator::Power, BINDING_OF_SIGNS),
        _ => return None,
    })
}

fn syntax(why: String) -> ExpressionError {
    ExpressionError::Syntax(why)
}

fn unexpected(token: &Token) -> ExpressionError {
    syntax(match token {
        Token::Number(number) => format!("'{number}' stands in the wrong place"),
        Token::Word(text) | Token::Text(text) => format!("'{text}' stands in the wrong place"),
        Token::Sign(sign) => format!("'{sign}' stands in the wrong place"),
    })
}
