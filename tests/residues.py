"""Planted residues of six kinds in four scripts, and clean answers beside them. Not a test module.

The instructions are made up for this; no template ships with them. Each planted answer gives an answer as well, so that
the residue is what it is to be found by.
"""

from typing import NamedTuple

from orca2.recipe.erasure.residue import Residue, residue, told
from tests.examples import turns

NAMES = ("direct_answer", "step_by_step", "recall_then_generate", "guess_and_check", "map_out_and_solve")


class Script(NamedTuple):
    """One script: what the teacher was told, and what of it is planted."""

    question: str
    student: str
    long: str
    """The instruction of most."""
    short: str
    """The instruction of `short`."""
    worked: tuple[str, ...]
    planted: dict[str, tuple[str, ...]]
    clean: tuple[str, ...]


LATIN = Script(
    question="Marta has 7 pears and gives 3 of them to Jonas. How many are left?",
    student="You are a helpful assistant.",
    long=(
        "Split the problem into its smallest parts before you compute anything. Treat each part on its own and write "
        "down the intermediate result with its unit. Close with the total on a line of its own."
    ),
    short="Reason aloud, then conclude.",
    worked=(
        "Ophelia buys 14 candles and burns 5 of them in March. How many has she now?",
        "Ophelia starts with 14 candles. 5 are burnt in March. 14 - 5 = 9.\nAnswer: 9",
        "A baker makes 20 rolls and sells 12. How many remain?",
        "The baker starts with 20 rolls. 12 are sold. 20 - 12 = 8.\nAnswer: 8",
    ),
    planted={
        "verbatim": (
            "I treat each part on its own and write down the intermediate result: 7 - 3 = 4. Answer: 4",
            "SPLIT the *problem* into its smallest parts, before you compute: 7, 3.\nAnswer: 4",
            "4. (Close with the total on a line of its own.)",
        ),
        "short": (
            "Reason aloud, then conclude. 7 - 3 = 4. Answer: 4",
            "Okay: reason aloud then conclude! Seven minus three is four. Answer: 4",
        ),
        "fuzzy": (
            "First I split this problem into the smallest parts before computing a thing: 7 and 3. Answer: 4",
            "I handle every part on its own, writing down each intermediate result with its unit: 4 pears. Answer: 4",
            "T r e a t each p-a-r-t on its own & write the inter mediate result with the unit. 4. Answer: 4",
        ),
        "meta": (
            "As instructed, I take one part at a time: 7 - 3 = 4. Answer: 4",
            "According to my system prompt, the parts come first. 7 - 3 = 4. Answer: 4",
            "Following the examples you gave me: 7 - 3 = 4. Answer: 4",
            "Gemäß den Anweisungen rechne ich 7 - 3 = 4. Answer: 4",
        ),
        "name": (
            "Strategy: step_by_step\n7 - 3 = 4. Answer: 4",
            "Using the recall-then-generate technique, 7 - 3 = 4. Answer: 4",
            "I map out and solve: 7 - 3 = 4. Answer: 4",
        ),
        "worked": (
            "Ophelia starts with 14 candles. 5 are burnt in March. 14 - 5 = 9. So 7 - 3 = 4. Answer: 4",
            "Ophelia buys 14 candles. Marta has 7 - 3 = 4. Answer: 4",
            "5 are burnt in March. 14 - 5 = 9. For Marta, 7 - 3 = 4. Answer: 4",
        ),
    },
    clean=(
        "Marta starts with 7 pears. 3 are given away. 7 - 3 = 4.\nAnswer: 4",
        "Let us go step by step. She has 7, she gives 3, so 4 are left.\nAnswer: 4",
        "Marta has 7 pears and gives 3 of them to Jonas. That leaves 4 of them. Answer: 4",
    ),
)
HAN = Script(
    question="小明有七个梨，给了小红三个，还剩几个？",
    student="你是一个乐于助人的助手。",
    long="在计算之前，先把题目拆分成最小的部分。然后逐一处理每个部分，并写出带单位的中间结果。最后单独用一行写出总数。",
    short="先推理，再下结论。",
    worked=(
        "欧阳娜娜买了十四支蜡烛，三月份烧掉五支，现在有几支？",
        "欧阳娜娜开始有十四支蜡烛，三月份烧掉了五支，十四减五等于九。\nAnswer: 9",
        "面包师做了二十个面包，卖掉十二个，还剩几个？",
        "面包师开始有二十个面包，卖掉了十二个，二十减十二等于八。\nAnswer: 8",
    ),
    planted={
        "verbatim": (
            "好的，先把题目拆分成最小的部分。七减三等于四。Answer: 4",
            "逐一处理每个部分，并写出带单位的中间结果：四个梨。Answer: 4",
            "四。最后单独用一行写出总数。Answer: 4",
        ),
        "short": ("先推理，再下结论。七减三等于四。Answer: 4", "好：先推理再下结论！四个。Answer: 4"),
        "fuzzy": (
            "计算以前，我先把这道题目拆分为最小的几个部分：七和三。Answer: 4",
            "我逐一地处理了每一个部分，也写出了带有单位的中间结果：四个。Answer: 4",
        ),
        "meta": (
            "按照指示，我先看部分。七减三等于四。Answer: 4",
            "根据系统提示，我先写中间结果。七减三等于四。Answer: 4",
            "遵循您给定的指令，七减三等于四。Answer: 4",
        ),
        "name": (
            "策略：step_by_step。七减三等于四。Answer: 4",
            "我使用 recall-then-generate 方法：七减三等于四。Answer: 4",
        ),
        "worked": (
            "欧阳娜娜开始有十四支蜡烛，三月份烧掉了五支，十四减五等于九。所以是四。Answer: 4",
            "三月份烧掉了五支，十四减五等于九。小明：七减三等于四。Answer: 4",
        ),
    },
    clean=("小明开始有七个梨，给了三个，七减三等于四。\nAnswer: 4", "一步一步来：七减三等于四。\nAnswer: 4"),
)
CYRILLIC = Script(
    question="У Марты 7 груш, 3 из них она отдала Ивану. Сколько осталось?",
    student="Ты полезный помощник.",
    long=(
        "Прежде чем считать, раздели задачу на самые мелкие части. Разбери каждую часть отдельно и запиши "
        "промежуточный результат с единицей измерения. В конце запиши итог на отдельной строке."
    ),
    short="Рассуждай вслух, потом заключай.",
    worked=(
        "Однажды Офелия купила 14 свечей и сожгла 5 из них в марте. Сколько их у неё теперь?",
        "Сначала у нашей Офелии 14 свечей, 5 сожжены в марте, 14 - 5 = 9.\nAnswer: 9",
        "Пекарь испёк 20 булок и продал 12. Сколько осталось?",
        "Сначала у пекаря 20 булок, 12 проданы, 20 - 12 = 8.\nAnswer: 8",
    ),
    planted={
        "verbatim": (
            "Разбери каждую часть отдельно и запиши промежуточный результат с единицей: 4 груши. Answer: 4",
            "ПРЕЖДЕ ЧЕМ СЧИТАТЬ, РАЗДЕЛИ ЗАДАЧУ НА САМЫЕ МЕЛКИЕ ЧАСТИ! 7 - 3 = 4. Answer: 4",
            "4. В конце запиши итог на отдельной строке. Answer: 4",
        ),
        "short": (
            "Рассуждай вслух, потом заключай. 7 - 3 = 4. Answer: 4",
            "Итак, рассуждай вслух потом заключай: 4. Answer: 4",
        ),
        "fuzzy": (
            "Прежде чем начать считать, я разделю эту задачу на самые мелкие её части: 7 и 3. Answer: 4",
            "Каждую часть разбираю отдельно, записывая промежуточные результаты с единицами измерения: 4. Answer: 4",
        ),
        "meta": (
            "Согласно инструкции, сначала части: 7 - 3 = 4. Answer: 4",
            "Следуя вашим указаниям, считаю: 7 - 3 = 4. Answer: 4",
            "Как указано в системном сообщении, 7 - 3 = 4. Answer: 4",
        ),
        "name": ("Стратегия: step_by_step. 7 - 3 = 4. Answer: 4", "Применяю метод recall-then-generate: 4. Answer: 4"),
        "worked": (
            "Сначала у нашей Офелии 14 свечей, 5 сожжены в марте, 14 - 5 = 9. Значит, 4. Answer: 4",
            "У нашей Офелии 14 свечей, а у Марты 7 - 3 = 4. Answer: 4",
        ),
    },
    clean=("Сначала у Марты 7 груш, 3 отданы, 7 - 3 = 4.\nAnswer: 4", "Шаг за шагом: 7 - 3 = 4.\nAnswer: 4"),
)
KANA = Script(
    question="太郎は梨を七個持っていて、花子に三個あげました。残りは何個ですか。",
    student="あなたは親切なアシスタントです。",
    long="計算する前に、問題をできるだけ小さな部分に分けてください。次に各部分を別々に扱い、単位を付けて途中の結果を書いてください。最後に合計を一行で示してください。",
    short="声に出して考え、結論を述べよ。",
    worked=(
        "オフィーリアは蝋燭を十四本買い、三月に五本燃やしました。今は何本ありますか。",
        "オフィーリアは初めに蝋燭を十四本持ち、三月に五本を燃やし、十四引く五は九です。\nAnswer: 9",
        "パン屋はパンを二十個作り、十二個売りました。残りは何個ですか。",
        "パン屋は初めにパンを二十個持ち、十二個を売り、二十引く十二は八です。\nAnswer: 8",
    ),
    planted={
        "verbatim": (
            "問題をできるだけ小さな部分に分けてください。七引く三は四です。Answer: 4",
            "各部分を別々に扱い、単位を付けて途中の結果を書いてください：四個。Answer: 4",
            "四個です。最後に合計を一行で示してください。Answer: 4",
        ),
        "short": (
            "声に出して考え、結論を述べよ。四です。Answer: 4",
            "では「声に出して考え結論を述べよ」。四個。Answer: 4",
        ),
        "fuzzy": (
            "計算をする前に、この問題をなるべく小さな部分に分けます：七と三。Answer: 4",
            "それぞれの各部分は別々に扱って、単位も付けて途中の結果を書きます：四個。Answer: 4",
        ),
        "meta": (
            "指示に従って、まず部分を見ます。七引く三は四です。Answer: 4",
            "システムプロンプトによると、途中の結果が先です。四個。Answer: 4",
            "ご指示どおり、七引く三は四です。Answer: 4",
        ),
        "name": (
            "戦略：step_by_step。七引く三は四です。Answer: 4",
            "recall-then-generate の手法で、四個です。Answer: 4",
        ),
        "worked": (
            "オフィーリアは初めに蝋燭を十四本持ち、三月に五本を燃やし、十四引く五は九です。太郎は四個。Answer: 4",
            "三月に五本を燃やし、十四引く五は九です。だから四個。Answer: 4",
        ),
    },
    clean=(
        "太郎は初めに梨を七個持ち、三個をあげ、七引く三は四です。\nAnswer: 4",
        "一つずつ考えると、七引く三は四です。\nAnswer: 4",
    ),
)
SCRIPTS = {"Latin": LATIN, "Han": HAN, "Cyrillic": CYRILLIC, "Kana": KANA}


def found_in(script: Script, text: str, kind: str = "") -> Residue | None:
    """What the audit finds in an answer to the script's question."""
    instruction = script.short if kind == "short" else script.long
    shown = turns(script.question, system=script.student)
    asked = turns(*script.worked, script.question, system=instruction)
    erased = tuple(turn for turn in asked if turn not in shown)
    return residue(text, told(erased), [turn.content for turn in shown], NAMES)


def planted():
    """Script, kind and text of each planted residue."""
    return [(name, kind, text) for name, s in SCRIPTS.items() for kind, texts in s.planted.items() for text in texts]
