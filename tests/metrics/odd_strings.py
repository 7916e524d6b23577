"""Odd strings for the tokenizer's test, with what Java's tokenizer makes of them: `odd_strings.json`.

Run as a script (needs Java and pycocoevalcap) to write the file again.
"""

import json
import subprocess
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_suffix(".json")
NUM_STRINGS = 2000
SEED = 2000

WORDS = """brown chair table next to the left of l-shaped desk window black and white two 3 it is yes no gray grey
dark on top of couch corner t-shirt wall-mounted tv t.v. tvs x-ray i a an The A Brown IKEA US USA u.s. U.S. round/oval
up x wooden 3-seater off-white bookshelf's chairs' refrigerator, Yes. No, none. Left! right? 42 7 100 OK ok"""
CONTRACTIONS = """it's isn't don't can't cannot won't I'm you're they've he'll she'd there's ain't DON'T It'S gonna
wanna gotta gimme lemme d'ye 'tis 'twas y'all o'clock rock'n'roll 'n' 'em ma'am o'brien '90s '68 90's l'eau c'mon
cause' dogs' TV's 5's s's who's that'll couldn't've shan't n't 's 're t's could’ve it’s isn’t ‘tis"""
ABBREVIATIONS = """mr. mrs. ms. dr. Dr. st. St. etc. e.g. i.e. vs. no. No. nos. fig. jan. Feb. mon. inc. co. corp.
ltd. a.m. p.m. ph.d. approx. dept. est. ft. in. sq. lbs. ave. rd. blvd. jr. sr. prof. gen. gov. vol. pp. p. ed. al.
ca. cal. max. min. tel. ext. univ. u.k. B.C. a.b.c. a.k.a. w. j. T. ok. tex. ill. ga. mass. oct. sun. wed. hr. min.
oz."""
NUMBERS = """1/2 3/4 1.5 .5 5. 1,000 10,000.50 10:30 3:2 5'4" 6' 2'x4' 10x20 3x3 5ft 3rd 1st 21st 100% $5 $1.50 #5 #1
-5 +5 1-2 1-2-3 12/5/20 12-05-2020 1990s 1990's 555-1234 5-6 2.5m 3m2 5cm 4-legged 1:1 0.0 007 1e5 2nd 50/50 24/7 (3)
2-1/2 3.4.5 1.2.3.4 5+5 2=2 5*5 10-15 4,5 6;7"""
MARKS = """. .. ... .... , ; : ! ? !! ?? ?! !? ( ) [ ] { } < > - -- --- ---- / // \\ | & && * ** # ## @ @@ % ^ ~ _ __
+ = ' '' ` `` " "" ''' () [] -) (- /. ., .) ). ,. ." !" ?' '. & &amp; &lt; &quot; :) :-) ;) :( :D :P ^_^ -_- <3 =)
xD"""
STRANGE = """http://a.b/c?d=e https://foo.com www.foo.com foo.com/bar foo.org a@b.com me@x.y #tag @name file.txt
a-b.pdf img_01.jpg chair.obj <br> <br/> <b>bold</b> </p> café naïve señor Über 東京 椅子 стул καρέκλα 😀
🪑 ½ ¼ 2½ ⅓ €5 £5 5¢ ¥5 © ™ 5°C … — – “a” ‘b’ «c» ’s a—b a–b a…b x² m² ×2 5×5
• · ‐ é à ° ı ß ﬁ a_b a_b_c snake_case_1 AT&T R&D at&t a&b
q&a and/or he/she a/b/c a/b/c/d on/off/standby n/a N/A w/ w/o c/o s/he a+b c++ c# .net node.js e-mail anti- -pro pro-
-ing (s) chair(s) [the] {x} (a)b a(b) 'quoted' "quoted" ''q'' ``q'' "a" 'a "b a" b' yahoo! yes!no a!b a?b a.b a.bc
ab.c ab.cd foo.bar end.start a,b a, b a;b a:b desk:brown x-y-z jack-o'-lantern man-o'-war ol' dunkin' rock-n-roll o'-x
d'or j'ai li'l cont'd ev'ry"""
GROUPS = tuple(text.split() for text in (WORDS, CONTRACTIONS, ABBREVIATIONS, NUMBERS, MARKS, STRANGE))
SHARES = (0.4, 0.12, 0.1, 0.14, 0.12, 0.12)
JOINTS = (" ", "", ", ", "-", "/", ".", "'", " (", ") ")
JOINT_SHARES = (0.78, 0.07, 0.04, 0.03, 0.03, 0.02, 0.01, 0.01, 0.01)


def odd_string(rng: np.random.Generator) -> str:
    """One to six pieces in a row, or (one in twenty) noise of printable characters."""
    if rng.random() < 0.05:
        return " ".join("".join(chr(c) for c in rng.integers(33, 127, rng.integers(1, 9))) for _ in range(2))
    text = ""
    for number in range(rng.integers(1, 7)):
        if number:
            text += str(rng.choice(JOINTS, p=JOINT_SHARES))
        text += str(rng.choice(GROUPS[rng.choice(len(GROUPS), p=SHARES)]))
    return text


def odd_strings(num_strings: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(odd_string(rng) for _ in range(2 * num_strings)))[:num_strings]


def java_tokens(texts: list[str], *, alone: bool = False) -> list[str]:
    """What pycocoevalcap makes of texts (of one line each): tokens joined by spaces, its punctuation removed.

    Java looks a few characters into the next line. `alone` puts an empty line between the texts, so that the tokens of
    one do not depend on the next.
    """
    from pycocoevalcap.tokenizer import ptbtokenizer

    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    command = ["java", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    apart = "\n\n" if alone else "\n"
    done = subprocess.run(command, input=apart.join(texts).encode(), capture_output=True, check=True)
    lines = done.stdout.decode().split("\n")[:: len(apart)][: len(texts)]
    punctuation = set(ptbtokenizer.PUNCTUATIONS)
    return [" ".join(word for word in line.rstrip().split(" ") if word not in punctuation) for line in lines]


if __name__ == "__main__":
    strings = odd_strings(NUM_STRINGS, SEED)
    pairs = dict(zip(strings, java_tokens(strings, alone=True), strict=True))
    FILE.write_text(json.dumps(pairs, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
