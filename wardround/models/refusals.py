"""Telling that a model declines to answer, in the languages in which local models are spoken to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

QUOTED = 120
"""Characters of a refusal that are quoted."""
_HEAD = 600
"""In how many characters at the beginning of an answer a refusal is looked for."""
_SENTENCES = 3
"""In how many sentences of it: who has said that much before declining has said something."""
_REACH = 120
"""Characters between an apology and what it is for."""


class _Language(NamedTuple):
    """How one language declines, as regular expressions over lower-case text."""

    sorry: str
    """An apology."""
    cannot: str
    """That the speaker is not able or allowed."""
    serving: str
    """What one is asked for and declines to do, behind `cannot`."""
    being: str
    """What the speaker says that it is."""
    judging: str
    """What a clinician says of findings, and is no refusal: "cannot exclude pneumonia"."""
    is_verb_last: bool = False
    """Whether `serving` stands before `cannot`."""


_ENGLISH = _Language(
    sorry=r"(?:i(?:'m| am) |we(?:'re| are) )?(?:so |very |really |truly )?(?:sorry|afraid)|(?:my |our )?apologies"
    r"|i (?:do )?apologi[sz]e|i regret|unfortunately|regrettably",
    cannot=r"(?:i|we)(?:'m| am|'re| are)? (?:just |simply |currently |really |also |do |am )*"
    r"(?:can't|cannot|can not|could not|couldn't|won't|will not|unable to|not able to|not allowed to|not permitted to"
    r"|not in a position to|not comfortable|not qualified to|not authori[sz]ed to|not equipped to"
    r"|don't feel comfortable"
    r"|not feel comfortable|don't have|do not have|not have"
    r"|decline to|refuse to|not designed to|not a|not an|not your)\b"
    r"|and (?:can't|cannot|am not able to|am unable to|am not qualified to)\b",
    serving=r" (?:\w+ly |to |with |be able to |in )*(?:help|assist|provid|giv|offer|answer|respond|diagnos|advis|comply"
    r"|fulfil|do (?:that|this)|engage|discuss|continue|support|medical|doctor|physician|licensed|clinician|the ability"
    r"|mak(?:e|ing) (?:a |any |this |medical )*(?:diagnos|assessment|recommendation|decision)"
    r"|(?:see|view|open|access|process|interpret|analy[sz]e|read)(?: to)? (?:\w+ ){0,3}"
    r"(?:images?|scans?|pictures?|files?|attachments?|x-?rays?|photos?|photographs?|radiographs?|medical))",
    being=r"as an? (?:\w+[- ]){0,3}(?:ai|artificial intelligence|language model|llm|chatbot|assistant)\b"
    r"|i(?:'m| am) (?:just |only |simply |merely |an? )*(?:\w+ ){0,2}(?:ai|artificial intelligence|language model"
    r"|chatbot)\b",
    judging=r"rule out|ruled out|exclude|confirm|be (?:sure|certain)|see (?:any|no)\b|distinguish|differentiate"
    r"|identify"
    r"|enough|sufficient",
)
_OTHERS = (
    _Language(  # German
        sorry=r"(?:es )?tut mir (?:sehr |wirklich )?leid|entschuldigung|entschuldigen sie|verzeihung|leider"
        r"|ich bedaure|bedauerlicherweise",
        cannot=r"(?:ich )?(?:kann|darf|werde|möchte) (?:ich )?(?:\w+ ){0,6}?(?:nicht|kein\w*|nichts)"
        r"|(?:ich )?bin (?:ich )?(?:nicht|kein\w*)|nicht möglich",
        serving=r".{0,60}?(?:helfen|geben|beantworten|stellen|beraten|bieten|erteilen|leisten|diagnos|auskunft|befugt"
        r"|arzt|ärzt|in der lage)",
        being=r"(?:ich bin |als )(?:nur )?(?:eine? |ein )?(?:ki\b|künstliche intelligenz|sprachmodell|ki-)",
        judging=r"ausschließen|ausgeschlossen|bestätigen|sicher sagen",
    ),
    _Language(  # French
        sorry=r"(?:je suis )?(?:vraiment )?(?:désolée?|navrée?)|malheureusement|je regrette|veuillez m'excuser"
        r"|je m'excuse",
        cannot=r"je ne (?:peux|puis|suis|saurais|dispose|pourrai)\b(?: pas)?|il m'est impossible",
        serving=r".{0,30}?(?:aid|fourn|donn|répon|pos|établ|médecin|docteur|conseil|habilit|en mesure|autoris"
        r"|diagnosti)",
        being=r"en tant qu(?:e |')(?:une? )?(?:ia\b|intelligence artificielle|modèle|assistant)"
        r"|je suis (?:une? )?(?:ia\b|modèle de langage)",
        judging=r"exclure|écarter|confirmer|éliminer",
    ),
    _Language(  # Spanish
        sorry=r"lo siento(?: mucho)?|lamento|disculp\w*|perdón|desafortunadamente|lamentablemente|me temo",
        cannot=r"no (?:puedo|podemos|estoy|soy|me es posible|tengo)\b",
        serving=r".{0,30}?(?:ayud|proporcion|dar|ofrec|respon|brind|diagn|médic|doctor|asesor|autoriz|capacit"
        r"|hacer eso)",
        being=r"(?:como|soy) (?:una? )?(?:ia\b|inteligencia artificial|modelo de lenguaje|asistente)",
        judging=r"descartar|excluir|confirmar",
    ),
    _Language(  # Italian
        sorry=r"mi dispiace|spiacente|sono spiacente|purtroppo|mi scuso|chiedo scusa",
        cannot=r"non (?:posso|sono|mi è possibile|ho)\b",
        serving=r".{0,30}?(?:aiut|forn|dar|rispond|offr|medic|dottor|diagnos|consig|autorizzat|in grado)",
        being=r"(?:come|in quanto|sono) (?:una? |un')?(?:ia\b|intelligenza artificiale|modello linguistico|assistente)",
        judging=r"escludere|confermare",
    ),
    _Language(  # Portuguese
        sorry=r"desculp\w*|lamento|sinto muito|infelizmente|peço desculpa",
        cannot=r"não (?:posso|consigo|sou|estou|me é possível|tenho)\b",
        serving=r".{0,30}?(?:ajud|fornec|dar|oferec|respond|médic|doutor|diagn|aconselh|autoriz|prestar)",
        being=r"(?:como|sou) (?:uma? )?(?:ia\b|inteligência artificial|modelo de linguagem|assistente)",
        judging=r"descartar|excluir|confirmar|afastar",
    ),
    _Language(  # Dutch
        sorry=r"het spijt me|sorry|helaas|mijn excuses|excuses",
        cannot=r"(?:ik )?(?:kan|mag|ben) (?:ik )?(?:\w+ ){0,6}?(?:niet|geen)\b",
        serving=r".{0,60}?(?:help|geven|beantwoord|stellen|bieden|arts|dokter|advies|bevoegd|in staat)",
        being=r"(?:als|ik ben) (?:een )?(?:ai\b|taalmodel|kunstmatige intelligentie)",
        judging=r"uitsluiten|bevestigen",
    ),
    _Language(  # Polish
        sorry=r"przykro mi|przepraszam|niestety|wybacz",
        cannot=r"nie (?:mogę|jestem|potrafię|wolno mi)\b",
        serving=r".{0,30}?(?:udziel|pomóc|poda|postawi|odpowie|lekarz|diagno|w stanie|upoważn|doradz)",
        being=r"(?:jako|jestem) (?:\w+ ){0,2}?(?:ai\b|model\w* język\w*|sztuczn\w+ inteligencj\w+)",
        judging=r"wykluczy|potwierdzi",
    ),
    _Language(  # Russian
        sorry=r"извините|простите|прошу прощения|к сожалению|мне (?:очень )?жаль|сожалею",
        cannot=r"(?:я )?не (?:могу|имею|являюсь|в состоянии|уполномочен\w?)|я не (?=врач|доктор)",
        serving=r".{0,30}?(?:помо|предостав|дать|дава|ответ|отвеч|постав|став|консульт|врач|доктор|диагно|медицин)",
        being=r"(?:как|я|будучи) (?:[—-] ?)?(?:ии\b|языков\w+ модел\w+|искусственн\w+ интеллект\w*|ассистент)",
        judging=r"исключить|подтвердить",
    ),
    _Language(  # Turkish
        sorry=r"(?:çok )?üzgünüm|maalesef|özür dilerim|ne yazık ki",
        cannot=r"\w+(?:emem|amam|emiyorum|amıyorum|emeyiz|amayız)\b|mümkün değil|doktor değilim",
        serving=r"(?:tıbbi|tavsiye|yardım|teşhis|tanı|cevap)",
        being=r"(?:bir )?(?:yapay zek[aâ]|dil modeli)",
        judging=r"dışla|doğrula",
        is_verb_last=True,
    ),
    _Language(  # Vietnamese
        sorry=r"(?:tôi )?(?:rất )?(?:xin lỗi|lấy làm tiếc|rất tiếc)",
        cannot=r"(?:tôi )?không (?:thể|phải là|được phép)",
        serving=r".{0,30}?(?:giúp|cung cấp|đưa ra|trả lời|chẩn đoán|bác sĩ|tư vấn)",
        being=r"(?:là|tôi là) (?:một )?(?:mô hình|trí tuệ nhân tạo|ai\b)",
        judging=r"loại trừ|xác nhận",
    ),
    _Language(  # Chinese
        sorry=r"(?:我)?(?:很|非常|十分|真的)?(?:抱歉|对不起|對不起|遗憾|遺憾|不好意思)",
        cannot=r"我?们?(?:不能|无法|無法|不可以|不便|不是|没有能力|沒有能力)",
        serving=r".{0,10}?(?:提供|回答|给出|給出|帮助|幫助|协助|協助|进行|進行|做出|诊断|診斷|医生|醫生|医师|醫師|建议|建議)",
        being=r"(?:作为|作為|我是|我只是)(?:一个|一個|一名|一款)?(?:ai|人工智能|人工智慧|语言模型|語言模型|大模型|助手)",
        judging=r"排除|确定|確定|确认|確認",
    ),
    _Language(  # Japanese
        sorry=r"(?:大変|誠に)?(?:申し訳(?:ありません|ございません|ない)|すみません|ごめんなさい|恐れ入りますが|恐縮ですが|残念ながら)",
        cannot=r"(?:できません|できかねます|お答えできません|いたしかねます|致しかねます|差し控え|ではありません)",
        serving=r"(?:提供|お答え|回答|診断|アドバイス|助言|医師|医療)",
        being=r"(?:私は)?(?:ai|人工知能|言語モデル)(?:として|ですので|なので|アシスタント|であり)",
        judging=r"除外|否定|確認",
        is_verb_last=True,
    ),
    _Language(  # Korean
        sorry=r"(?:정말 )?(?:죄송|미안|유감|안타깝)\w*",
        cannot=r"(?:수 없|수가 없|어렵습니다|불가능|아닙니다|못합니다)",
        serving=r"(?:의료|의학|조언|진단|도움|답변|의사|제공)",
        being=r"(?:저는 )?(?:ai|인공지능|언어 모델)\w*",
        judging=r"배제|확인",
        is_verb_last=True,
    ),
    _Language(  # Arabic
        sorry=r"(?:أنا )?(?:عذر\w*|معذرة|آسف\w*|أعتذر|للأسف|يؤسفني)",
        cannot=r"(?:لا (?:أستطيع|يمكنني|أقدر|يجوز لي)|لست|غير قادر|ليس لدي)",
        serving=r".{0,30}?(?:تقديم|مساعد|الإجابة|إعطاء|تشخيص|طبيب|نصيح|استشار)",
        being=r"(?:بصفتي|كوني|باعتباري|كنموذج|أنا نموذج|أنا ذكاء|أنا مجرد)",
        judging=r"استبعاد|تأكيد",
    ),
    _Language(  # Hindi
        sorry=r"(?:मुझे (?:बहुत )?(?:खेद|अफ़सोस|अफसोस)|क्षमा|माफ़|माफ|मुझे माफ़|खेद)",
        cannot=r"(?:नहीं (?:कर|दे|बता|हूँ|हूं)|असमर्थ|सक्षम नहीं)",
        serving=r"(?:चिकित्सा|सलाह|निदान|मदद|सहायता|उत्तर|जवाब|डॉक्टर)",
        being=r"(?:एक )?(?:ai|एआई|भाषा मॉडल|कृत्रिम बुद्धिमत्ता)",
        judging=r"इनकार|पुष्टि",
        is_verb_last=True,
    ),
)
_ENGLISH_ALONE = re.compile(
    r"(?:i(?:'ll| will)? (?:must|have to|need to) (?:respectfully )?(?:decline|refuse)"
    r"|it (?:would(?: not|n't)? be|is(?: not|n't)?) (?:\w+ly )?(?:unsafe|unethical|inappropriate|irresponsible"
    r"|appropriate"
    r"|safe|ethical|possible|responsible) for (?:me|an ai)"
    r"|(?:this|that|your) (?:request|question) (?:goes against|violates|is against|falls outside|is outside)"
    r"|(?:please |you should |i (?:strongly )?(?:recommend|advise|suggest|urge) (?:that )?you )"
    r"(?:to )?(?:consult|see|contact|speak|talk|seek|visit)(?:ing)? (?:to |with )?(?:an? |your )?(?:\w+ ){0,3}"
    r"(?:doctor|physician|professional|provider|attention|advice|care|help))"
)
_SENTENCE = re.compile(r"[^.!?。！？।؟\n]+")
_BEFORE = re.compile(
    r"(?:[\W_]|(?:(?:final )?answer|response|output|assistant|antwort|réponse|respuesta|risposta|resposta|ответ|回答"
    r"|答)\s*[:：]"
    r"|(?:hello|hi|sure|okay|ok|thank you[^,]{0,40}|thanks[^,]{0,40})[,\s]"
    r"|(?:but|however|and|also|so|therefore)[,\s])+"
)
"""What may stand before the first word of a sentence that declines."""


def _compiled(language: _Language) -> re.Pattern[str]:
    serving = rf"(?:{language.cannot})(?:{language.serving})"
    if language.is_verb_last:
        serving = rf".{{0,60}}?(?:{language.serving}).{{0,60}}?(?:{language.cannot})"
    return re.compile(rf"(?:{language.sorry}|{language.being}).{{0,{_REACH}}}?(?:{language.cannot})|{serving}")


_LANGUAGES = tuple(
    (_compiled(language), re.compile(language.judging), re.compile(rf"(?:{language.sorry})\W*"))
    for language in (_ENGLISH, *_OTHERS)
)
"""How a sentence of each language declines, what makes a judgement of it, and how it apologises."""


def refusal_in(prose: str) -> str | None:
    """Return how a refusal begins that stands at the beginning of a text, or nothing.

    The text must hold no answer: whoever apologises and then answers has answered. That a finding cannot be
    excluded or confirmed is no refusal but a judgement. Languages: English, German, French, Spanish, Italian,
    Portuguese, Dutch, Polish, Russian, Turkish, Vietnamese, Chinese, Japanese, Korean, Arabic, Hindi.
    """
    head = prose.lstrip()[:_HEAD]
    plain = head.replace("’", "'").replace("ʼ", "'")
    sentences = [found for found in _SENTENCE.finditer(plain) if re.search(r"\w", found[0])][:_SENTENCES]
    for place, sentence in enumerate(sentences):
        said = _told(sentence[0])
        is_all = len(sentences) == 1
        if any(_declines(said, *language, is_all=is_all) for language in _LANGUAGES):
            return quoted(head[sentence.start() :])
        if place == 0 and _ENGLISH_ALONE.match(said):
            return quoted(head[sentence.start() :])
    return None


def _told(sentence: str) -> str:
    """A sentence in lower case from its first word that counts."""
    said = " ".join(sentence.lower().split())
    before = _BEFORE.match(said)
    return said[before.end() :] if before else said


def _declines(
    said: str, declining: re.Pattern[str], judging: re.Pattern[str], apology: re.Pattern[str], *, is_all: bool
) -> bool:
    if is_all and apology.fullmatch(said):
        return True
    return declining.match(said) is not None and judging.search(said) is None


def declared_refusal(reply: AIMessage) -> str | None:
    """Return the refusal that a server declares as one, apart from the text; nothing where it declares none.

    OpenAI's protocol has a field for it (`message.refusal`), LangChain a block of content (`refusal`).
    """
    declared: list[Any] = [reply.additional_kwargs.get("refusal")]
    if isinstance(reply.content, list):
        declared += [b.get("refusal") for b in reply.content if isinstance(b, dict) and b.get("type") == "refusal"]
    return next((text for text in declared if isinstance(text, str)), None)


def refusal_in_object(value: dict[str, Any]) -> str | None:
    """Return how a refusal begins that an object of another shape than asked for holds, such as `{"error": ...}`."""
    texts = (text for text in value.values() if isinstance(text, str))
    return next((found for text in texts if (found := refusal_in(text)) is not None), None)


def quoted(text: str) -> str:
    """Return the beginning of a text in one line."""
    line = " ".join(text[: 2 * QUOTED].split())
    return line if len(line) <= QUOTED else line[: QUOTED - 1] + "…"
