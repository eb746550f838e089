"""Word lists of the noun finder, as text: what ordinary captions name, and what only looks like it.

Counted in the training captions of flickr8k, COCO and Visual7W, then sorted and completed by hand.
"""

# Things and places outside the table of objects.
THINGS = frozenset(
    """
    accordion acorn acrobat advertisement airport algae alien alley alligator almond alpaca ambulance amplifier anchor
    angel animal animals ankle ant antelope antenna anthill antler antlers apartment apron aquarium arcade arch
    archway arena arm armor arms army arrow ash ashtray asparagus asphalt astronaut atm attic atv auditorium avenue
    avocado axe baboon backboard backpacker bacon badge baggage bagpipes baker bakery balcony bale ballerina bamboo
    band bandage banister banjo bank bar barbecue barbell barber barrel barrette barricade barrier bars basement basil
    bath bathroom bathtub battery bay beak beam beans beaver bedroom bee beef beehive beet beetle belly belt bib bill
    binder binoculars birch birdcage birdhouse bleachers blender blimp blinds blueberries blueberry boar board boarder
    boards boardwalk bodybuilder bollard bolt bomb bone boogie booth border boulevard boxer boxers bra bracelet
    breakfast brick bricks bridesmaids bridle brochure brooch broom brother brownie brunette brush buckle buddha
    buffet bug bulldozer bullet bumper bun bunk buoy burrito butcher butter butterfly button cabbage cable cactus cafe
    cage calculator calendar camel camels camp campground campsite campus can canal candle candles candlestick candy
    cane canister cannon cans cantaloupe canyon cape carafe caramel caravan card cardboard cardinal cards carnival
    carpenter carrier cash casino cassette castle caterpillar cave ceiling celery cell cello cement cemetery cereal
    chain chainsaw chalk champagne chandelier chapel charger checkers cheerleader cheerleaders cheetah cherries cherry
    chess chessboard chest chimney chimpanzee chin chipmunk chips chocolate chopsticks cinema circus city clarinet
    class classroom claw claws clay clipboard cloak clocktower cloth clothing club coast coaster coastline cockpit
    cocktail coconut cocoon coffee coin coins collage college column columns comb comet comforter concert cone cones
    confetti container control controller controllers cookie cookies copier coral cord cords corn corridor countryside
    court courtyard cove crab cracker cradle crane crayon crib crocodile croissant crosswalk crown crust crutch
    cucumber cufflinks curb cutlery cylinder cymbal dagger dam dandelion debris deck decker decoration decorations
    deer dentist desert desktop dessert device devices diaper dice diner dinosaur disc discus dishwasher disk ditch
    doberman dolphin dome domino doormat dot dragon dragonfly drain dresser drill driveway drone dryer dugout dumbbell
    dumpster dust ear earphones earring earrings ears egg eggplant eggs elbow electrician electronics elevator elf elk
    emu enclosure engine entrance envelope equipment eraser escalator excavator exhibit eye eyebrow eyes fabric face
    factory fair fairy falcon family fan fans farm faucet fax feather feathers feeder feet fern ferret festival fin
    finger fingernail fingers fins fireplace firework fireworks flashlight flask floaties flops flowery flute fog
    folder foot footballer forehead forklift fox foxes foyer frame freeway friend friends frog frost frosting fur
    furniture gallery garage garbage garland garlic gas gate gateway gazebo gazelle gear gerbil ghost ginger glacier
    glass glider globe glue gnome goalpost gold graffiti grape grapes grasshopper grater grave gravestone gravy
    greenhouse greens grenade grill grocery groups guard gum gun guns gutter gym gymnasium gymnast hail hairbrush
    hairdresser hairpin hall hallway halter ham hammer hammock hamster hand handcuffs handlebar handlebars handles
    hands hangar harbor harbour hardhat harmonica harness harnesses harp hatchet hay haystack head headband headboard
    headdress headlight headphones heads headset heart heater hedgehog heels herb herbs hip hippo hippopotamus hips
    hockey hoe hog holder hole honey hood hoof hoop hoops hooves horn horns horseshoe hose hospital hotel hovercraft
    humidifier hummingbird hyena iceberg icicle icing iguana individuals indoors inn innertube insect instructor
    instrument instruments intersection iron island ivy jack jaguar jam jar javelin jellyfish jewelry jockey jockeys
    judge jug juggler juice jumper jumpsuit jungle kale kangaroo kayaker keg kennel ketchup kettle key keychain keys
    kimono king kingfisher kiosk kitchen kiwi knee knees knight koala lab ladder ladle ladybug lagoon lamppost lane
    lava lawnmower lawyer ledge leg legs lemon lemonade lemur lens leopard leopards leotard letter letters lettuce
    librarian library lid lighthouse lightning lily lime lingerie link lion lip lips lipstick liquid litter lizard
    llama lobby lobster lock lodge logo lollipop lotion lumber machine machines magician mailbox mall mane mango
    manhole mannequin mans mansion map maple marble marina marker markers marketplace marsh marshmallow mascot mast
    mat matchstick mayonnaise meat meatball mechanic medal medicine meerkat melon member members memorial menu mermaid
    microscope milk milkshake mist mixer moat mohawk mole monastery money mongoose monk monster monument moon moose
    mop mosque mosquito moss motel moth motor motorhome motorway mound mouth mouths movie mower muffin mural museum
    mushroom mushrooms mustard muzzle muzzles nachos name nap napkin neck nest nightclub nightgown nightstand noodles
    nose noses nun nut nuts oak oar oatmeal obelisk octopus office oil olive olives omelet onion onions orangutan
    orchard orchid ornament ornaments otter ottoman outcropping outfield overalls overhang overpass owner owners
    pacifier pad paddle padlock pads paint pajamas palace pallet palm pan pancake pancakes panel panther pantyhose
    para parachute paramedic parsley pasta pastries pastry patch patio paw paws peach peak peanut pear peas pedal
    pedals peeler pen pencil pendant pepper peppers perfume pergola petal pheasant piano pickle pickles picnic pie pig
    piglet pigtails pill pillar pillars pinata pine pineapple pinecone pipe pirate pistol pit placemat planet plank
    playpen plaza pliers plow plum plumber pocket poncho popcorn pope porch porcupine pork port postcard pot potato
    potatoes pothole pouch pretzel priest prince princess printer prison professor projector propeller pub puck
    pudding puffin pulley pumpkin puppet puzzle pyramid quail quarterback queen raccoon rack radiator radio radish
    railroad railway rainbow raindrop rainforest rake rally ranch rapids raspberry rat raven razor receipt record reed
    reeds reef reindeer reins rescue reservoir resort restaurant rhino rhinoceros ribbon ribbons ribs rice rickshaw
    ridge rifle ring rings rink roadside roadway robe robes robin robot rocket rod rodeo roller rollerblader
    rollerblades roof room root roundabout rubber rubble rudder ruin ruins ruler runway saddle sail salad salt
    sandcastle santa sari satchel satellite sauce saucepan saucer sausage saw saxophone scaffolding scanner scarecrow
    scenery school scientist scoreboard screen screens screw screwdriver scuba seal seaweed seed seeds segway service
    sewer shadow shadows shampoo shark shawl shed sheet sheets shell shield shotgun shoulder shoulders shovel shower
    showerhead shrimp shutter shutters sidecar sidelines silhouette silo silverware sister site skatepark skates
    skeleton skiiers skillet skills skin skull skunk skyline sleeve sleeves slip sloth slug smoke smoothie snail snake
    snowball snowman snowmobile snowshoe snowsuit soap soup spa spaceship spade spaghetti sparkler spatula speaker
    speakers spear spider spinach spire sponge spotlight spout spray sprinkler sprinklers sprints sprout squash squid
    squirrel stable stadium stall stamp stapler star starfish stars station steak steel steeple stem stereo
    stethoscope stew stirrup stomach storm straw strawberries strawberry streamer stretcher string strings stripes
    studio stump subject submarine sugar sunflower sunflowers sunset superhero supermarket surgeon sushi swamp sword
    swords syringe syrup tablecloth tablet taco tail taillight tailor tails tambourine tank tap tape tarmac tarp tart
    tattoos tavern tea team teams teapot teeth telescope temple terminal terrace theater theatre thermometer thermos
    thermostat thigh thorn throat thumb tiara ticket tiger tightrope tights tile tiles tin tissue toad toe toes tofu
    tomato tomatoes tombstone tongs tongue toolbox tools tooth toothpaste toppings tornado tortilla tortoise totem
    toucan tow town traffic trainer transportation trap trash trashcan tray treadmill tripod trombone trophy trough
    trumpet trunk tub tube tug tulip tulips turban turkey turkeys turnip turntable turret turtle tusk tusks tutu udder
    ukulele underpass underwear unicorn utensil utensils vacuum valley vampire vegetables vegetation veil vent veranda
    video villa village vine vinegar vineyard violin vodka volcano vulture waffle waffles waist walker wallet walnut
    walrus war wardrobe warehouse washer wasp watch watercraft waterfront watermelon waterway web weed weeds welder
    whale wheelbarrow wheeler whip whisk whiskers whiskey whistle wig wilderness willow windmill windowsill windshield
    windsurfer wine wing wings wire wires witch wizard wok wolf wolves woodland woodpecker worm wreath wrench wrestler
    wrestlers wrist xylophone yogurt zipper zombie zoo zucchini
    """.split()
)

# Nouns that name no thing one could point at.
ABSTRACT = frozenset(
    """
    action activity addition afternoon agility air all amount amusement angle another anything appearance aqua area
    art arts assortment atmosphere attempt attention attire autumn back background backs backstroke badminton ballet
    base bathing batman beauty belongings birthday bit blur bmx boston both bottom breath breeze brightness bunch
    bungee business call camouflage case celebration center ceremony cheek chews christmas circuit claus close closeup
    color colors competition construction contest conversation corner couple course cream cricket cruise curve cut day
    daylight deal delivery design detail details dining dinner direction directions display distance dr drag dusk dye
    each easter edge effort end evening event everyone everything example expression extension fact fall feeling few
    figure figures flannel flight flock focus foreground formation frolics front fun game gesture gestures glow goal
    golf goods ground group habitat haircut half halloween handstand help herd hind history home horizon hour hours
    hue idea image impression inch inches instance interest item items job jump khaki kind kneel kneels landing
    landmarks landscape lap league leap leather left life lighting line living location look lot lots louis lunch
    makeup maneuver many markings maroon match meeting metal meter meters miami mickey midair middle midst mile miles
    minute minutes moment month mood morning motion motocross move mr ms music navy neon night nobody none nothing
    number numbers obama object objects oklahoma one ones order other others pack pair parade parking part parts party
    pattern peace performance photo photograph photos pic picture piece pieces pile pitch place point polka polo
    portrait pose position power practice presence print produce progress projects purpose race rain range reason
    reception reflection rest result right row rugby run running safety sale scene season second security self selfie
    sense series services set shade shape shirtless shot show side size skiis sky-high slice slices smile soccer some
    someone something sooners sort space speech speed sport sports spot spots spring st stack stance states steam stop
    story strip stuff stunt stunts style summer sun sunlight superman surface system tag talk target temperature
    tennis thing things thumbs time times today top tops total tour tournament transit treat trick trip trunks turn
    type types university use variety view volley way weather wedding week wheelie while whist wind winter wood words
    work world year york zip
    """.split()
)

# Adjectives, adverbs and verb forms.
OTHER_WORDS = frozenset(
    """
    about above according acrobatic across acting active admiring aerial african after against aged ago ahead aim
    aiming airborne alike almost along alongside also american amidst amish among amongst ancient antique apart appear
    appears approaches approaching arched are around arranged arrived artificial ascending asian asking asleep
    athletic atop attached attack attacking attempting attempts attractive away backlit backpacking backward backwards
    baked baking balancing bald balding barbed bare barefooted barking barks barren bearded bearing beat beautiful
    becomes been before begging begin beginning begins behind beige being below bending bends beneath bent beside best
    between beyond big bigger biking billowing biting bitten black blindfolded block blocked blocking blond blonde
    blowing blows blue blurred blurry bounces bouncing bound bounding boxing breaking breaks bridal bright brightly
    brings brown brushes brushing built bumpy bundled buried burning busy called calm canadian canoeing capped
    captured carefully carpeted carried carries carry carrying carved cast casting casts casual catch catches catching
    caught celebrate celebrates celebrating challenging change chase chased chases chasing chat checkered checking
    checks cheer cheering chewing chili chinese choppy chubby circular clad classic clean cleaned cleaning clear
    clearing clears climb climbing closed closely closest clothed cloudy cluttered cold collide colored colorful
    colorfully coloring colourful come comes coming commercial compete competing competitive completely concrete
    connected containing converse conversing cooked cooking costumed could covered covering covers cowgirl cracked
    crashes crashing crawling crawls created creating creepy crossed crosses crossing crouched crouching crowded
    crying curious curiously curled curly current curved cute cuts cutting dancing dangling dark darkened dead
    decorated decorative deep defending defensive deflated demonstrating depicting descending descends designed did
    different digging digital digs dim dimly directly dirty displayed displaying displays distant distorted dives
    docked does doing dolly done double downhill dragging dramatically drawing drawn drenched dressed dribbles
    dribbling dried drilling drinking driven drives driving dropping dry dug dunking during dusty dyed early eastern
    eat eaten eating eats elaborate elderly electric electrical electronic elegant else embrace embracing emerges
    emerging empty enclosed enjoy enjoying enjoys enough enter entering entire european everywhere except excited
    extended extends extreme eyed facial facing fake falling falls fancy far fashioned fast fat feathered features
    featuring fed feed feeding feeds fell fenced festive fetches fetching fighting filled filling film filmed find
    finished finishes firing first fixing flapping flaps flat flies flipped flipping flips floating floats flooded
    floppy floral flowered flowing flown fluffy fly flying foamy foggy folded folding follow followed following
    follows for forested formal forward found framed free french fresh freshly from frosted frozen full funny furry
    fuzzy galloping gather gathered gathers gazes german get gets getting giant give given gives giving glazed gliding
    gnawing goes going golden gone good grab grabbing grabs graffitied grassy gravel gray grazing great green greet
    grey grilling grinding grinds grow growing growling guarding guided guiding had haired hairy handed handing hang
    hanging hangs happen happening happily happy hard hardwood has have having headed heading hear heavily heavy held
    helmeted helping helps herding here hides hiding high hikes hiking hilly historic hit hits hitting hold holding
    holds homeless homemade hooded horizontal hot howling huddle huddled huge hugging hugs hula hungry icy identical
    includes including incoming indian indoor industrial inflatable inflated inside inspecting intently interacting
    interactive interested interesting interviews into irish jagged japanese jog jogging jogs juggles juggling jumped
    jumping jumps just karate kayaking keep keeps kick kicked kicking kicks kiddie kisses kissing kneeling knit know
    lacrosse laid landed large larger last late laugh laughing launch lay laying lays leading leads leafless leafy
    lean leaning leans leaping learning leashed leave leaving led legged let letting licking licks lie lies lifted
    lifting like likely lined lining listening listens lit little loaded loading local located lone long looking looks
    love low lower lush lying made main major make makes makeshift making maneuvers marching marked martial massive
    may mean mechanical medieval medium meet melting merry messy mexican mid might military milking mini miniature
    minimal missing mobile mock modern more mostly motorized mountainous mounted moving much muddy multi multicolored
    multiple murky muscular musical muzzled naked narrow native natural navigates navigating near nearby nearly need
    needed needs newborn newly next nice nicely ninja not now numbered numerous observe observes observing occur
    occurring odd offering official old older once only onstage onto open opened opening opens operating opposing
    opposite oriental ornate outdoor outdoors outside outstreached outstretched over overcast overhead overlooking
    overlooks overturned overweight own owns packed padded paddles paddling painted paints pale parachuting parallel
    parasailing parked partially participate participates participating partly pass passed passes passing past
    patiently patterned pauses paved peeking peeks peeled peering perched perform performing performs personal pets
    petting photographed picked picking picks pictured piled pink pitches pitching placed placing play played
    playfully playing plays pointed pointing pointy poised pokes pop popping pops portable posed poses posing possible
    potted pouncing pouring pours practicing praying pregnant prepare prepared prepares preparing pretending pretends
    pretty printed pro probably professional propped protect protective public pull pulled pulling pulls punching
    purple push pushed pushes pushing put puts putting quickly quiet racing rafting raining rainy raise raised raises
    raising ran reach reached reaches reaching read reading reads ready really receives receiving recently recording
    red reddish redheaded reflected reflecting reflective relax relaxes relaxing religious removed removing repelling
    residential resting rests retrieve retrieves retrieving return returning returns ridden ridding rides riding ripe
    rises rising rival rocky roll rollerblading rollerskating rolling romp rough rounding rounds rowing rubbing rubs
    runs rural rusty same sandy sat say saying says scales scaling scantily scary scenic score scratching screaming
    screams seated see seems seen sell selling sells semi serious serve served serves serving several shaggy shakes
    shaking shallow shaped share sharing sharp sheer shines shining shirted shoot shooting shoots short should
    shoveling showing shown shows sideways silhouetted silly similar sing singing single sings sipping sippy sit
    siting sits sitting sized skateboarding skiing skimpy skinny skips slanted sledding sleeping sleeps sleeved
    sleeveless sliding slightly small smaller smart smartly smiling smokes smoking smooth sniffing sniffs snowboarding
    snowcapped snowing snowy soaked soaking soaring socializing soft sold somewhere somthing soon sparring sparse
    speak speaking speaks special speeding spinning splashed splashing sponsored spotted sprayed spraying sprays
    spread squatting squeezing squirted squirting stacked stained stand standing stands stare staring starring start
    starting starts steep steers stepping sticking still stopped stopping stops straight strange strapped stretched
    stretches stretching strewn strikes striking striped stripped stripy struggle struggling stuck stuffed submerged
    suburban sucking suited sumo sunny surfing surround surrounded surrounding suspended swampy swims swinging swung
    tackle tackled tackles tackling take taken takes taking talking tall tasting tattoo teaching teal teenage than
    thick thin third though threw through throw throwing thrown throws tied tight tiled tilted tiny tired together too
    took topless topped tossed tosses tossing touch touches touching toward towards towed traditional trailing travel
    traveling travelling travels traverses treads tri tries tropical trotting try trying tugging tumbling turned
    turning turns twirling twisting typically typing uncut under underground underneath uniformed unique unseen
    unusual uphill upon upper upright upset upside upward urban used uses using usually various vast vending vertical
    very viewing vintage visible viz wade wades wading wait waiting waits wakeboarding waking walk walked walking
    walks want waring warm warmly was wash washed washing watched watches watching waterskier waterskiing watery
    waving wear wearing wears weird well were wet wheeled whilst white wild will winding winds windsurfing windy
    winning wipes wiping with within without wooded wooden working works worn would wrapped writes writing written
    yelling yellow young younger
    """.split()
)
