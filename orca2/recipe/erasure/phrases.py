"""What an answer says of an instruction that the student never sees: that there was one, or the name of a technique.

A phrase counts unless the question says its noun too: who asks about instructions is answered about instructions. Only
phrases that speak of nothing else are here. `As requested` is not: a question requests as well; nor is `the prompt`, by
which a model may mean the question.
"""

import re
from collections.abc import Iterable
from functools import cache
from unicodedata import normalize

from orca2.recipe.erasure.words import plain, spoken, tokens

_THE = "(?:the|my|your|these|those|this|its|all|any) "
_GIVEN = "(?:(?:system|given|provided|above|detailed|initial|original|previous|specific|exact|hidden|special) )*"
_DO = (
    "(?:think|reason|explain|show|break|list|recall|write|work|give|use|follow|go|start|begin|respond|reply|answer|"
    "solve|extract|guess|check|provide|state|copy|rule|eliminate|propose|proceed)"
)
_AS = (
    "(?:following|like|per|based on|according to|similar to|as(?: shown| seen| given| done)?)(?: in)? "
    "(?:the|your|those|these)"
)
_OF_ANOTHER = "(?! (?:on|in|of|from|for|at|by|to|printed|that|which|included) )"
"""Not after instructions that are somebody else's, such as those on a box."""
_WITH_BLANKS = (
    "as instructed(?! by (?!(?:the |my |your )?(?:system|prompt|instruction)))",
    "as (?:i (?:was|am|ve been|have been)|(?:you|we)(?: ve| have| had)?) (?:instructed|directed)",
    "as i (?:was|am|ve been|have been) (?:told|asked|prompted)|as you (?:asked|told) me to",
    "as (?:requested|asked|told|directed|specified|required) (?:by|in) (?:the|my|your) "
    "(?:system|prompt|instructions?)(?! of)",
    "(?:as|like) (?:your|the|my) (?:instructions?|guidelines?) (?:say|state|require|ask|demand|tell)s?",
    "(?:according to|following|i (?:will |ll |must |shall |have to |need to )?follow(?:ed)?|per|by|under|based on|"
    "given|obeying|adhering to|complying with|in|in (?:line|accordance|keeping|compliance) with) "
    f"{_THE}{_GIVEN}instructions?{_OF_ANOTHER}",
    f"{_THE}{_GIVEN}instructions? (?:i (?:was|am|ve been|have been)|you) (?:given|gave|provided|received)",
    f"(?:(?:my|your) {_GIVEN}instructions? (?:were|was|is|are)|"
    f"(?:my|your|the) {_GIVEN}instructions? (?:says?|said|tells?|told|asks?|asked|requires?|states?))",
    "(?:according to|following|per|by|under|with) (?:my|your|the (?:given|provided|above|system)) "
    "(?:guidelines?|directives?)",
    "(?:system (?:prompt|message|instruction)|(?:developer|hidden) (?:prompt|message|instruction))s?",
    f"i (?:was|am|m|ve been|have been) (?:instructed|(?:told|asked|directed) to {_DO})",
    f"you (?:have |ve )?(?:(?:directed|told) me to {_DO}|instructed)",
    r"(?:the|your|those|these) (?:\w+ ){0,2}?examples? (?:that )?(?:you (?:gave|showed|provided|have|ve)|"
    "i was (?:given|shown)|(?:given|shown|provided) to me)",
    f"{_AS} (?:worked|few shot|given|provided|earlier|previous|above|sample|demonstration) (?:example|demonstration)s?",
    f"{_AS} (?:examples|demonstrations) (?:above|given|provided|shown|earlier|before)",
    r"(?:assigned|prescribed|instructed|required|requested|suggested) (?:\w+ )?(?:technique|strategy)",
    r"(?:prescribed|instructed|mandated) (?:\w+ )?(?:format|procedure|steps)",
    "wie (?:mir )?(?:angewiesen|aufgetragen)|anweisungsgemäss|den anweisungen (?:folgend|entsprechend|zufolge)",
    "(?:gemäss|laut|nach) (?:den|der|deinen|ihren|meinen|deiner|ihrer|meiner) (?:anweisung(?:en)?|instruktion(?:en)?)",
    "in (?:der|den|deiner|deinen|ihrer|ihren|meiner|meinen) (?:anweisung(?:en)?|instruktion(?:en)?)",
    "system ?prompts?|systemnachricht|systemanweisung(?:en)?",
    "(?:conformément aux?|conformément à|selon|suivant|d après|dans) "
    "(?:les |vos |tes |mes |l |votre |ma |la )?(?:instruction|consigne)s?",
    "(?:invite|prompt|message|consigne) (?:du )?système|comme on me l a (?:demandé|indiqué)",
    "(?:según|siguiendo|de acuerdo con|conforme a) (?:las|sus|tus|mis) instrucciones",
    "(?:en|por) (?:las|sus|tus|mis) instrucciones|n?as (?:suas )?instruções (?:dadas|do sistema)|nelle istruzioni",
    "como se me (?:indicó|instruyó|ordenó|ha indicado)|(?:mensaje|prompt) (?:del|de) sistema",
    "(?:conforme|segundo|seguindo|de acordo com) (?:as )?(?:suas |minhas |tuas )?instruções",
    "conforme (?:fui )?instruído|prompt do sistema|mensagem do sistema",
    "(?:secondo|seguendo) le (?:tue |mie |sue )?istruzioni|come da istruzioni|prompt di sistema",
    r"(?:согласно|следуя|соответствии с|по) (?:\w+ ){0,2}?(?:инструкци\w+|указани(?:ям|ю|ями|ем))",
    r"системн\w+ (?:промпт|сообщени|инструкци|подсказк)\w*",
    r"как (?:мне|нам) (?:было )?(?:сказано|велено|указано|поручено)",
    r"в (?:\w+ )?инструкци(?:и|ях)",
    r"(?:지시|지침|지시사항)(?:에|을|를)? ?(?:따라|따르|따른|의하면)\w*|(?:지시|지침)대로",
    r"시스템 ?(?:프롬프트|메시지|지시)\w*",
    "(?:निर्देशानुसार|निर्देशों? (?:के अनुसार|का पालन)|सिस्टम (?:प्रॉम्प्ट|संदेश|निर्देश))",
)
_WITHOUT_BOUNDS = (
    "(?:按照|根据|依照|遵照|遵循|依据|按|根據|依據|遵從|如)(?:您|你|我|上述|上面|给定|給定|所给|系统|系統|提供|指定|的|收到)*"
    "(?:指示|指令|提示词|提示詞)|(?:按照|根据|依照|遵循|根據)(?:上述|给定|給定|所给|系统|系統|提供|您|你)+的?(?:说明|說明|指引)",
    "系统(?:提示|消息|指令|信息)|系統(?:提示|訊息|指令)|(?:按照|根据|仿照|參照|参照)(?:您|你)?(?:给出|提供|所给|给|給)的?(?:示例|例子|范例)",
    "(?:指示|指令|インストラクション|システムプロンプト|システムメッセージ)(?:の)?(?:に(?:従|したが|沿|基づ|よれば|よると)|"
    "通り|どおり|とおり)|システム(?:プロンプト|メッセージ|の指示)|与えられた例に(?:従|なら)",
    "(?:وفق|حسب|بحسب|اتباع)[^ ]* (?:ل|ال|لل)?تعليمات|وفق[^ ]* للتعليمات|بناء على التعليمات|"
    "(?:رسالة|موجه|تعليمات|مطالبة) النظام|كما (?:أُ?مرت|طُ?لب مني)",
    "ตาม(?:ที่)?(?:ได้รับ)?คำสั่ง|ตามที่(?:ได้รับ)?สั่ง|คำสั่ง(?:ของ)?ระบบ|(?:พรอมต์|พร้อมท์|ข้อความ)(?:ของ)?ระบบ|ตามคำแนะนำที่(?:ให้|ได้รับ|กำหนด)",
)
_PHRASES = re.compile(normalize("NFKC", rf"(?<!\w)(?:{'|'.join(_WITH_BLANKS)})(?!\w)|{'|'.join(_WITHOUT_BOUNDS)}"))
_NOUNS = tuple(
    normalize("NFKC", noun)
    for noun in (
        "instr", "istruz", "prompt", "guideline", "directive", "directed", "message", "system", "example",
        "demonstration", "technique", "strateg", "told", "asked", "prescribed", "mandated", "anweis", "gewiesen",
        "getragen", "nachricht", "consigne", "demandé", "indiqu", "indic", "orden", "mensaje", "mensagem",
        "sistema", "système", "инструкц", "указан", "систем", "велено", "поручено", "сказано", "지시", "지침",
        "시스템", "निर्देश", "सिस्टम", "指示", "指令", "提示", "系统", "系統", "示例", "例", "说明", "說明",
        "指引", "システム", "インストラクション", "تعليمات", "نظام", "مرت", "طلب", "คำสั่ง", "สั่ง", "ระบบ",
        "คำแนะนำ",
    )
)  # fmt: skip
"""One of them is in every phrase; most answers hold none and need no closer look."""
_LATIN_NOUNS = tuple(noun for noun in _NOUNS if noun.isascii())
_TELLING = (
    "techniques?|strateg(?:y|ies|ie|ia|ía|ia)|technik|stratégie|técnica|стратеги[яюией]+|техник[аиуой]+|策略|技巧|戦略|技法|テクニック|"
    "전략|기법|กลยุทธ์|เทคนิค|استراتيجية|تقنية|रणनीति|तकनीक"
)
_NAMING = (
    f"{_TELLING}|methods?|approach|procedure|mode|methode|verfahren|ansatz|méthode|approche|método|enfoque|метод[аоуме]*|подход[ауом]*|"
    "方法|方式|模式|手法|방법|방식|วิธี|طريقة|أسلوب|विधि"
)
_EVERYDAY = {("step", "by", "step"), ("guess", "and", "check"), ("trial", "and", "error")}
"""Names that are plain English as well."""


def meta_phrase(said: str, asked: str) -> str:
    """The first phrase of a text that speaks of an instruction of which the question says nothing.

    Args:
        said: the answer, `plain`.
        asked: the question, as it is.
    """
    if not any(noun in said for noun in (_LATIN_NOUNS if said.isascii() else _NOUNS)):
        return ""
    for match in _PHRASES.finditer(spoken(said)):
        question = plain(asked)
        if not any(noun in match[0] and noun in question for noun in _NOUNS):
            return match[0]
    return ""


def technique_name(said: str, words: Iterable[str], asked: str, names: Iterable[str]) -> str:
    """The first name of a technique that a text spells, unless the question spells it too.

    A name of three words or more counts wherever it stands, any name where it is spelt with `_`, and a shorter or
    everyday one beside a word such as `technique`. (`StepByStep` is a name as well.)

    Args:
        said: the answer, `plain`.
        words: its words.
        asked: the question, as it is.
        names: of techniques, as their files are called.
    """
    there = frozenset(words)
    for name in names:
        parts, together, spelt = _name(name)
        if parts and (there.issuperset(parts) or "".join(parts) in there):
            match = spelt.search(said)
            if match and not together.search(plain(asked)):
                return match[0]
    return ""


@cache
def _name(name: str) -> tuple[tuple[str, ...], re.Pattern[str], re.Pattern[str]]:
    """The words of a name, the name however it is spelt, and where it tells that it is one."""
    words = tuple(word for word in re.split(r"[\W_]+", plain(name)) if word)
    together = r"[\s\-_/,>→+]{1,4}(?:(?:and|then)\s)?".join(map(re.escape, words))
    after = _TELLING if words in _EVERYDAY or len(words) == 1 else _NAMING
    forms = [
        rf"(?:{_NAMING})(?: called| named| of| is| used)?[\s:=\"'“”「」『』《》*`_-]{{1,6}}{together}",
        rf"{together}[\s\"'”」』》*`_-]{{0,4}}的?(?:{after})",
    ]
    forms += ["_".join(map(re.escape, words))] if len(words) > 1 else []
    forms += ["".join(map(re.escape, words))] if len(words) > 2 else []
    forms += [together] if len(words) > 2 and words not in _EVERYDAY else []
    told = re.compile(rf"(?<![a-z0-9_])(?:{'|'.join(forms)})(?![a-z0-9_])")
    return tuple(tokens(plain(name))), re.compile(together), told
