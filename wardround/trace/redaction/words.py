"""Words that are names of people and something else as well, and how the two are told apart.

Put together for this module from common knowledge; none of the lists is complete.
"""

from __future__ import annotations

import re

_EPONYMS = """
addison alport alzheimer apert arnold asperger baker barlow barrett barth bartter basedow batten becker behcet bell
bence berger bernard best binswanger bitot blount boerhaave bowen brown brugada budd buerger burkitt burton caisson
caplan caroli castleman chagas charcot chiari christmas churg clostridium coats cockayne conn coombs cornell cowden
creutzfeldt crohn cronkhite cushing dandy darier devic down dressler duchenne dupuytren ebstein edwards ehlers
eisenmenger epstein erb ewing fabry fallot fanconi felty fitz fournier frank freiberg friedreich froment galeazzi
ganser gardner gaucher gilbert gilles glasgow gleason goodpasture gottron gower gram grave graves grey guillain hansen
harris hartnup hashimoto heberden heimlich heller henoch hirschsprung hodgkin hoffmann holmes horner horton hunter
huntington hurler jacob janeway job jones kallmann kaposi kartagener kawasaki kernig kimmelstiel klatskin klinefelter
korsakoff krukenberg kussmaul lachman lambert landau laurence leber legg lemierre lennox lesch levine lewy libman
liddle little lofgren louis ludwig lyell lyme lynch mallory marburg marfan marie mcardle mcburney meckel meige meigs
meniere menkes mikulicz mirizzi monro monteggia morquio morton munchausen murphy niemann noonan osgood osler paget
pancoast parinaud parkinson patau pelger perthes peutz peyronie phalen pick plummer pompe pott potter prader
prinzmetal quincke rankin raynaud reed reiter rett reye richter riedel ringer roberts robin rolando romberg roth rotor
sachs scheuermann schilling schlatter schlemm schonlein schwann seldinger sezary sheehan simmonds sipple sjogren
snellen steinert stevens still stokes strauss sturge swan sydenham takayasu tay thomas tietze tinel todd tourette
trendelenburg treves trousseau turcot turner usher valsalva vincent virchow volkmann waldenstrom waterhouse weber
wegener weil wenckebach werner wernicke whipple white williams wilms wilson wiskott wolff wolfram wood young zellweger
zenker zollinger
"""
EPONYMS = frozenset(_EPONYMS.split())
"""Folded family names after which diseases, signs, tests and scores are called."""

_MONTHS_WORDS = """
january february march april may june july august september october november december
"""
MONTHS = frozenset(_MONTHS_WORDS.split())

_PRONOUNS_WORDS = """
a all am an and are as at be by can do for go he her him his i if in is it me my no not of on or our she so the to up
us was we who you
"""
PRONOUNS = frozenset(_PRONOUNS_WORDS.split())
"""Words of grammar: even a capital at the beginning of a sentence and a verb behind make no name of them."""

_PLAIN = """
amber angel apple art ash aurora autumn banks basil bay beach bean bear berry best bill bird bishop black blue bob
bond booth bow bowel brain branch bright brook brooks brown buck bush butcher butler cane carol case cash castle cat
chance chase cherry child christian church clay cliff cloud coal cole cook cooper cord corn cotton cousin cox crane
crisp cross crystal curry dale dawn day deal dean dear destiny dew diamond dick dolly don dove down drew drought duke
dusty earl early east ebony eden edge ember english eve ever fair faith fall fat fawn faye field finch fish fisher
flack flint flora flower foot ford forest fox frail frank free french frost fry gale gall gay gem gene german ginger
glass glen good goose grace grain grant grave gray green grey grove guy hale hall ham hand hardy harmony harper hart
haven hazel head heart heath heather herb hill hips holiday holly hood hope horn house hunt hurt iris island ivy jade
jean jewel joint joy justice kent key king knee knight lace lake lamb lance land lane lark laurel law lawn leaf leg
legs lily limb little long lord love low lung major mark marks marsh martin mason mat max meadow melody mercy merry
mild miles mill mills mole money monk moon moore morrow moss mouth myrtle neck new noble norm north nose novel nurse
oak old olive opal oral page pain paine palm park parker pat patch patience patient peace pearl penny pepper pike
piper plant pole pollen pope poppy porter post potter pound power price pride prince prior prudence purpose queen rain
rash rat ray reading red reed rice rich right ring river rivers rock rod rose ruby rush rust rusty sage salt sandy
savage sea see sergeant sharp shepherd sherry short silver skin sky small smart snow sores south sparrow spring star
steel sterling stern still stone storm strange street strong sue sugar summer summers sun swallow sweet swift tanner
teal temple thorn tiger tone town tree trinity trip true tucker turner unity vale valentine vein violet walker wall
ward warden warm washer water waters weaver weeks welcome well wells west wheel white whole wick wild will willow
winter wise wolf wood woods worth wren young
"""
PLAIN = frozenset(_PLAIN.split()) | MONTHS
"""Folded plain words, months included, that are names as well."""

_PARTICLES_WORDS = """
abu af al am bin bint da das de del della den der di do dos du el ibn la le lo mac san santa st ten ter the van ver
von zu zum zur y e o
"""
PARTICLES = frozenset(_PARTICLES_WORDS.split())
"""Parts of a family name that mean nobody by themselves."""

TITLE = re.compile(
    r"(?i:\b(?:mr|mrs|ms|miss|mx|dr|doctor|prof|professor|sister|nurse|consultant|registrar|sir|dame|lady|master|rev|fr|"
    r"sr|sra|señor|señora|herr|frau|mme|mlle|monsieur|madame)\.?\s+)$"
)
"""What stands before a name and nothing else."""
CLINICIAN_TITLE = re.compile(r"(?i:\b(?:dr|doctor|prof|professor|nurse|sister|consultant|registrar)\.?\s+)$")
LABEL = re.compile(
    r"(?i:\b(?:patient|pt|name|surname|forename|family name|given name|first name|last name|mother|father|wife|husband|"
    r"son|daughter|partner|sister|brother|carer|next of kin|nok|contact|author|seen by|signed|signed by|dictated by|"
    r"reviewed by|discussed with|spoke with|spoke to|spoken to|called|named|known as|dear)\s*[:,]?\s+)$"
)
"""What stands before a name, though not before one alone."""
PERSONAL = re.compile(
    r"\s+(?:(?:also|now|still|then|today|currently|otherwise|again)\s+)?(?:has|had|is|was|reports|reported|denies|denied|"
    r"states|stated|complains|complained|presents|presented|attends|attended|lives|lived|works|worked|feels|felt|says|"
    r"said|describes|described|takes|took|smokes|drinks|returns|returned|came|went|continues|remains|admits|notes|noted|"
    r"wishes|wants|agrees|agreed|requests|requested|missed|tolerates|tolerated|underwent|developed|appears|looks|seems|"
    r"stopped|started|recalls|does|did|walks|needs|eats|sleeps)\b",
    re.IGNORECASE,
)
"""What people do: a verb in the third person behind a name."""
RELATION = re.compile(
    r"\s+(?:wife|husband|partner|mother|father|parents?|son|daughter|sister|brother|family|carer|niece|nephew|aunt|uncle|"
    r"home|house|address|phone|gp|doctor|notes|records?|chart|bed|blood|pain|symptoms|medications?|history)\b",
    re.IGNORECASE,
)
"""What somebody has whose name stands in the genitive."""
DISEASE = re.compile(
    r"(?:'s|s'|')?[\s-]+(?:\w+\s+)?(?:abscess|anaemia|anemia|aneurysm|angina|anomaly|aphasia|arthritis|ascites|ataxia|atrophy|"
    r"bodies|body|bypass|canal|chorea|cells?|cirrhosis|class|classification|coma|contracture|criteria|cysts?|deformity|"
    r"dementia|disease|disorder|diverticul\w+|duct|dystrophy|ehrlich|encephalopathy|fasciitis|fracture|gangrene|glands?|"
    r"goit\w+|granulomatosis|grade|hernia|hepatitis|hyperthyroidism|incision|index|kidney|lymphoma|maculopathy|malformation|"
    r"man[oe]e?uvre|nodes?|node|nodules?|neuralgia|neuropathy|n[oe]uroma|oesophagus|esophagus|ophthalmopathy|orbitopathy|"
    r"palsy|paralysis|phenomenon|point|positive|procedure|psychosis|purpura|reaction|reflex|ring|rule|sarcoma|scale|scan|"
    r"score|shunt|sign|spots?|stain|stage|syndrome|test|tetralogy|thyroiditis|thyrotoxicosis|triad|tumou?r|ulcer|vasculitis|"
    r"virus|plus|white|parkinson|barr|danlos|barre|marie|tooth|lewy|schlatter|johnson|jeghers|willi|leber|alexander)\b",
    re.IGNORECASE,
)
"""What is called after people."""
CLINICAL = re.compile(
    r"(?:(?:history of|h/o|hx of|fhx of|phx|known|with|has|have|had|having|suspected|suspect|likely|possible|probable|"
    r"presumed|query|diagnos\w+(?:\s+(?:of|as|with))?|dx|pmh|pmhx|active|treated|for|no|not|without|of|and|or|due to|"
    r"secondary to|from|severe|mild|early|late|in|new|untreated|refractory|ileal|colonic|anti|exclude|excluded|vs|"
    r"versus|consistent with|rule out|r/o)\W+|\?\s*|\banti-)$",
    re.IGNORECASE,
)
"""What stands before a disease in a note."""
PROBLEMS = re.compile(
    r"(?:pmhx?|past medical|history|problems?|diagnos[ei]s|comorbid\w*|background|impression)\b[^.\n]*"
    r"[:,;]\s*(?:\d+[.)]\s*)?$",
    re.IGNORECASE,
)
"""A list of diseases under way."""
OF_A_MONTH = re.compile(
    r"(?:\d(?:st|nd|rd|th)?(?:\s+of)?|\b(?:in|since|until|till|by|last|next|this|early|late|mid|of|from|before|after|"
    r"during|between|and|to))[\s-]+$",
    re.IGNORECASE,
)
"""What stands before a month."""
FIXED = {
    "rose": r"bengal|spots?|hip",
    "brown": r"-?s[eé]quard|urine|sputum|stool|discharge",
    "white": r"blood|cells?|count|matter|sputum|stool|plaques?|patch\w*|british|other",
    "long": r"qt|term|standing|bone|acting|covid|history",
    "young": r"adult|onset|wom[ae]n|man|male|female|lady|gentleman|person|boy|girl|patient",
    "green": r"sputum|discharge|stool",
    "black": r"stools?|african|caribbean|tarry|british",
    "small": r"bowel|vessel|cell|intestine|volume",
    "will": r"be|follow|need|have|continue|review|see|discuss|repeat|start|stop|check|not|refer|arrange",
    "may": r"be|have|need|benefit|require|not|represent|reflect|suggest|cause|consider|well",
    "grant": r"access|permission|consent",
    "hope": r"to|that|for|of",
    "head": r"ct|injury|ache|and|circumference|trauma",
    "hand": r"x|grip|surgery|pain|weakness|foot",
    "well": r"'s|score|appearing|controlled|tolerated|nourished|hydrated",
    "wells": r"score|criteria",
    "king": r"college|'s college",
    "pain": r"score|relief|control|free|on|in",
    "heart": r"rate|failure|sounds?|block|murmur",
}
"""What follows a plain word where it is one, at the beginning of a sentence or in a heading."""
