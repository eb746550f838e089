"""The tables of object names and phrases: ours, written for this project.

One line an object: name | COCO-80 category or "-" | other words for it (singular; plurals are generated).
A name with a COCO category that differs from it is a kind of that category (a "man" is a "person").
The COCO-80 part covers the names that caption hallucination metrics count (Rohrbach et al. 2018); the rest are the
nouns that people mention most when they describe everyday photos. An indented line continues the one above.
"""

TABLE = """
person | person | human, pedestrian, someone, somebody, adult, teenager, teen, passenger, commuter, tourist,
  visitor, spectator, onlooker, bystander, customer, shopper, worker, player, rider, driver, athlete, performer,
  dancer, musician, singer, guitarist, runner, jogger, racer, hiker, climber, camper, swimmer, diver, surfer, skier,
  snowboarder, skateboarder, skater, biker, bicyclist, cyclist, motorcyclist, batter, pitcher, catcher, umpire,
  goalie, goalkeeper, referee, coach, officer, policeman, policewoman, policeperson, police, cop, soldier, fireman,
  firefighter, doctor, nurse, chef, waiter, waitress, bartender, farmer, fisherman, cowboy, clown, artist, painter,
  photographer, student, teacher, pilot, vendor, couple,
  crowd, audience, parent, sibling, twin, people, participant, competitor,
  opponent, teammate, villager, elder
man | person | guy, gentleman, male, dude, fellow, father, dad, husband, groom, grandfather, businessman, workman,
  old man, young man
woman | person | lady, female, mother, mom, wife, bride, grandmother, gal, housewife, young woman, old woman
child | person | kid, toddler, baby, infant, youth, youngster, preschooler, schoolchild
boy | person | little boy, young boy, son, lad
girl | person | little girl, young girl, daughter, schoolgirl
bicycle | bicycle | bike, cycle, mountain bike, tricycle, unicycle
car | car | automobile, sedan, taxi, cab, van, minivan, suv, jeep, convertible, vehicle, hatchback, limousine, race
  car, racecar, police car
motorcycle | motorcycle | motorbike, motor bike, scooter, moped, dirt bike, dirtbike, motocross bike
airplane | airplane | plane, aeroplane, air plane, jet, airliner, aircraft, biplane, jetliner, jumbo jet, seaplane
bus | bus | minibus, double decker, school bus, trolley, double decker bus
train | train | locomotive, subway, tram, freight train, caboose, railcar, steam engine
truck | truck | pickup, pick up truck, pickup truck, lorry, firetruck, fire truck, fire engine, semi truck, tow
  truck, trailer, tractor trailer
boat | boat | ship, canoe, kayak, sailboat, sail boat, raft, rowboat, row boat, motorboat, motor boat, speedboat,
  yacht, ferry, dinghy, gondola, barge, vessel, catamaran
traffic light | traffic light | traffic signal, stop light, stoplight, street light, streetlight, signal light
fire hydrant | fire hydrant | hydrant
stop sign | stop sign |
parking meter | parking meter |
bench | bench | pew, park bench
bird | bird | duck, goose, seagull, gull, pigeon, parrot, owl, swan, eagle, hawk, ostrich, penguin, chicken,
  rooster, hen, flamingo, pelican, crow, heron, peacock, sparrow, finch, duckling, stork
cat | cat | kitten, kitty, feline, tabby
dog | dog | puppy, pup, poodle, terrier, corgi, labrador, retriever, golden retriever, german shepherd, greyhound,
  dalmatian, beagle, bulldog, collie, husky, hound, dachshund, chihuahua, pug, canine, boxer dog, doggy, rottweiler,
  spaniel, sheepdog, mutt
horse | horse | pony, foal, mare, stallion, bronco, horseback, donkey, mule
sheep | sheep | lamb, ewe
cow | cow | cattle, bull, calf, ox, oxen, heifer, bison, buffalo
elephant | elephant |
bear | bear | polar bear, grizzly, panda, cub, grizzly bear
zebra | zebra |
giraffe | giraffe |
backpack | backpack | back pack, knapsack, rucksack, bookbag
umbrella | umbrella | parasol
handbag | handbag | purse, pocketbook, hand bag
tie | tie | necktie, bow tie, bowtie
suitcase | suitcase | suit case, luggage, briefcase
frisbee | frisbee | flying disc
skis | skis | ski
snowboard | snowboard | snow board
sports ball | sports ball | ball, basketball, football, soccer ball, volleyball, baseball, tennis ball, beach ball,
  softball, soccerball, rugby ball, golf ball
kite | kite |
baseball bat | baseball bat | bat
baseball glove | baseball glove | mitt, baseball mitt
skateboard | skateboard | skate board, longboard
surfboard | surfboard | surf board, boogie board, bodyboard, wakeboard, paddleboard, paddle board, body board
tennis racket | tennis racket | racket, racquet, tennis racquet
bottle | bottle | water bottle, wine bottle, beer bottle
wine glass | wine glass | goblet, wineglass, champagne glass
cup | cup | mug, coffee cup, teacup, tea cup
fork | fork |
knife | knife | butter knife, pocketknife
spoon | spoon | teaspoon, tablespoon
bowl | bowl | mixing bowl
banana | banana |
apple | apple |
sandwich | sandwich | hamburger, burger, cheeseburger, panini
orange | orange | tangerine, clementine
broccoli | broccoli |
carrot | carrot |
hot dog | hot dog | hotdog, bratwurst
pizza | pizza |
donut | donut | doughnut, bagel
cake | cake | cupcake, cheesecake, birthday cake, wedding cake, shortcake
chair | chair | stool, armchair, recliner, lawn chair, wheelchair, highchair, high chair, rocking chair, seat
couch | couch | sofa, loveseat, love seat, futon
potted plant | potted plant | houseplant, house plant, plant, pot plant
bed | bed | mattress, bunk bed
dining table | dining table | table, desk, coffee table, countertop, kitchen table, picnic table, tabletop
toilet | toilet | urinal, commode, toilet seat, lavatory
tv | tv | television, monitor, tv screen, television set, computer monitor, television screen
laptop | laptop | computer, notebook computer, laptop computer, macbook, netbook
mouse | mouse | computer mouse
remote | remote | remote control, wii remote, game controller
keyboard | keyboard | computer keyboard
cell phone | cell phone | cellphone, phone, mobile phone, smartphone, telephone, smart phone, iphone
microwave | microwave | microwave oven
oven | oven | stove, stovetop, stove top, stove top oven
toaster | toaster | toaster oven
sink | sink | washbasin
refrigerator | refrigerator | fridge, freezer
book | book | magazine, novel, textbook, notebook
clock | clock | alarm clock, wristwatch, clock tower
vase | vase |
scissors | scissors | scissor, shears
teddy bear | teddy bear | teddy, stuffed bear, stuffed animal
hair drier | hair drier | hair dryer, hairdryer, blow dryer, blow drier
toothbrush | toothbrush | tooth brush
shirt | - | t-shirt, tshirt, tee shirt, t shirt, blouse, polo shirt, tee, tank top, undershirt, dress shirt
jacket | - | coat, parka, windbreaker, blazer, raincoat, overcoat, leather jacket
sweater | - | sweatshirt, hoodie, pullover, cardigan, sweat shirt
vest | - | life vest, life jacket, lifejacket
dress | - | gown, sundress, sun dress
skirt | - | kilt
pants | - | trousers, slacks, khakis, pant, legging, leggings
jeans | - | jean, denim jeans, blue jeans
shorts | - | swim trunks, swimming trunks, board shorts
suit | - | tuxedo, business suit
uniform | - | jersey
swimsuit | - | bikini, bathing suit, wetsuit, wet suit, swimming suit, swimwear
costume | - | outfit
hat | - | cap, baseball cap, beanie, visor, cowboy hat, straw hat, sombrero, hard hat, bonnet
helmet | - |
scarf | - | bandanna, bandana, headscarf
glove | - | mitten
shoe | - | sneaker, boot, sandal, flip flop, tennis shoe, high heel, slipper
sock | - | stocking
sunglasses | - | goggle, goggles, sun glasses
glasses | - | eyeglass, eyeglasses, eye glasses, spectacles
necklace | - | bead, beads
collar | - |
leash | - |
hair | - | ponytail, dreadlock
beard | - | mustache, moustache, goatee
water | - |
ocean | - | sea
beach | - | shore, shoreline, seashore
wave | - | surf
lake | - | pond
river | - | stream, creek
pool | - | swimming pool, wading pool, kiddie pool
waterfall | - |
fountain | - | water fountain
puddle | - |
sand | - | sand dune, dune
snow | - |
ice | - | ice rink
grass | - | lawn
field | - | meadow, pasture, grassy field
mud | - | dirt
rock | - | boulder, stone
hill | - | hillside, slope
mountain | - | mountaintop, mountainside, cliff
forest | - | woods
tree | - | palm tree, tree trunk, pine tree, christmas tree
leaf | - | leaves, foliage
bush | - | shrub, hedge
flower | - | rose, daisy, bouquet
branch | - | tree branch, log, twig
sky | - | blue sky
cloud | - |
street | - | road, highway, city street
sidewalk | - | pavement
path | - | trail, pathway, walkway, dirt path, dirt road
track | - | racetrack, race track, train track, railroad track
bridge | - |
building | - | skyscraper, tower, church, cathedral
house | - | cabin, hut, cottage, barn
store | - | shop, market, storefront
wall | - | brick wall, stone wall
fence | - | railing, chain link fence, wooden fence
door | - | doorway
window | - |
stairs | - | stair, step, staircase, stairway, fire escape
floor | - | carpet, rug
dock | - | pier
ramp | - | skateboard ramp, half pipe, halfpipe
playground | - | jungle gym
swing | - | tire swing, swing set
slide | - | water slide, waterslide
trampoline | - |
tunnel | - |
stage | - | platform
park | - |
yard | - | backyard, garden
sign | - | banner, poster, billboard, street sign
flag | - |
pole | - | post, lamp post, flagpole, telephone pole
rope | - |
net | - |
hurdle | - | obstacle
stick | - | wooden stick, hockey stick
toy | - | doll, stuffed toy, toy car
balloon | - |
bubble | - |
rail | - | handrail, hand rail
bag | - | plastic bag, shopping bag, sack
basket | - |
box | - | cardboard box, crate
bucket | - | pail
camera | - | video camera
guitar | - | electric guitar
drum | - | drum set
microphone | - |
paper | - | newspaper
cigarette | - | cigar
food | - | meal, snack
drink | - | beverage, beer, soda, glass of wine
ice cream | - | ice cream cone, popsicle
fruit | - |
bread | - |
cheese | - |
fries | - | french fries
plate | - | dish, platter
pillow | - | cushion
blanket | - | towel, quilt
curtain | - | drape
lamp | - | light, lantern
shelf | - | bookshelf, bookcase
cabinet | - | cupboard, drawer
counter | - | kitchen counter
mirror | - |
picture | - | painting, photograph
cart | - | stroller, wagon, carriage, shopping cart
wheel | - | tire, tyre
tent | - | canopy, awning
fire | - | flame, campfire, bonfire
statue | - | sculpture
mask | - |
sled | - | toboggan, sleigh
rabbit | - | bunny
fish | - |
goat | - |
monkey | - | gorilla, ape
tractor | - |
helicopter | - |
"""

# Word sequences that name something else than their parts do: object | phrases (singular). "-": no object at all
# (places and games, things that only sound like another, words that describe, the photo itself).
PHRASES = """
airplane | passenger jet, passenger plane, fighter jet
train | passenger train, passenger car, train car, steam train, subway car
track | train track
boat | jet ski, fishing boat, house boat
truck | garbage truck, dump truck
bus | tour bus, city bus, passenger bus
dog | pit bull, bull dog, guide dog
bird | sea gull, baby chick
horse | horse back, horse drawn
bear | bear cub, koala bear
sheep | big horn sheep
carrot | carrot stick
skis | water ski, water skis, snow skis, cross country skis
wine glass | wine glas
person | football team, baseball team, soccer team, basketball team, hockey team, volleyball team, football player,
  baseball player, soccer player, tennis player, basketball player, volleyball player, hockey player, guitar player,
  drum player, police officer, bus driver, taxi driver, truck driver, car driver, train conductor, rock climber, ice
  skater, wind surfer, bull rider, bike rider, dirt bike rider, horse rider, motorcycle rider, motorcycle racer,
  water skier, life guard, boy scout, girl scout, baseball fan, football fan, camera man, rock star, rock band,
  street performer, street vendor, fire fighter, store clerk, ball player, ball boy, dog walker, snow boarder,
  skate boarder
uniform | baseball uniform, football uniform, soccer uniform, basketball uniform
hat | baseball cap, ball cap, baseball hat
field | baseball field, football field, soccer field, ball field
park | ball park, skate park
house | dog house, boat house
building | fire station, light house
door | car door, glass door
window | glass window, car window
food | cat food, dog food, fried chicken, grilled chicken, chicken wing, chicken breast
drink | orange juice, apple juice, glass of beer, glass of juice, glasses of wine, glasses of beer
lamp | light fixture, light bulb, ceiling light, table light
teddy bear | stuffed dog, stuffed cat, stuffed rabbit, stuffed bunny, stuffed elephant, stuffed monkey
- | bus stop, bus station, bus lane, train station, train platform, subway station, tennis court, basketball court,
  volleyball court, boxing ring, baseball game, basketball game, football game, soccer game, volleyball game,
  football match, tennis match, table tennis, pool table, ping pong table, car park, trailer park, ski lift, ski
  resort, bike lane, bike rack, bed room, bath room, bath tub, fire place, fire pit, basketball hoop, basketball
  net, hot dog stand, home plate, baseball diamond, bird cage, bird house, bird feeder, bird bath, dog show, fish
  tank, flower bed, river bed, sea bed, truck bed, cell tower, phone booth, telephone booth
- | corn dog, prairie dog, sea lion, sea horse, saw horse, guinea pig, lady bug, man hole, mouse pad, license plate,
  toilet paper, paper towel, table cloth, train set, punching bag, sleeping bag, bean bag, tea bag, ferris wheel,
  steering wheel, ski pole, fishing pole, ski suit, snow suit, space suit, roller skate, ice skate, water gun, water
  melon, fire extinguisher, fire alarm, gummy bear, bear hug, bat man, bow and arrow, chop stick, lip stick, rock
  climbing, rock concert, rock and roll, drinking glasses, from glasses, glasses of, baby animal, banana split,
  apple pie
- | light blue, light brown, light green, light gray, light grey, light pink, light yellow, light purple, light
  colored, light coloured, light rain, natural light, day light, sun light, baby blue, remote area, remote location,
  remote island
- | picture of, the picture, this picture, the photograph, this photograph, photograph of
"""
